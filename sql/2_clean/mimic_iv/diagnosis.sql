-- Billed diagnoses of hospital stays.
--
-- Grain:  one row per delivered diagnosis
-- Key:    diagnosis_id
-- Units:  none
-- Scope:  patient
-- Source: MIMIC-IV (doi:10.13026/07hj-2a80 for the demo)
-- Rows:   raw_mimic_iv.diagnoses_icd
with

-- The codes have no date. They are given at discharge for the whole stay, so the day of discharge
-- is the first on which all are known; the day of admission would put a complication before its
-- cause.
dated as (
    select
        diagnosis.*,
        admission.dischtime::date as diagnosis_date,
        case diagnosis.icd_version when 9 then 'ICD9CM' when 10 then 'ICD10CM' end as code_system
    from raw_mimic_iv.diagnoses_icd as diagnosis
    left join raw_mimic_iv.admissions as admission on diagnosis.hadm_id = admission.hadm_id
),

diagnosis as (
    select
        diagnosis_date,
        code_system,
        'diagnoses_icd' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || concat_ws(':', hadm_id, seq_num, icd_version, icd_code) as diagnosis_id,
        'mimic_iv:' || subject_id as patient_id,
        upper(replace(trim(icd_code), '.', '')) as code,
        case
            when diagnosis_date is null then 'stay_not_delivered'
            when code_system is null then 'code_system_not_known'
        end as excluded_reason
    from dated
)

from diagnosis
