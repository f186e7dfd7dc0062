-- Billed procedures of hospital stays.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: MIMIC-IV (doi:10.13026/07hj-2a80 for the demo)
-- Rows:   raw_mimic_iv.procedures_icd
with

versioned as (
    select
        *,
        case icd_version when 9 then 'ICD9PCS' when 10 then 'ICD10PCS' end as code_system
    from raw_mimic_iv.procedures_icd
),

procedure as (
    select
        chartdate as procedure_date,
        code_system,
        'procedures_icd' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || concat_ws(':', hadm_id, seq_num, icd_version, icd_code) as procedure_id,
        'mimic_iv:' || subject_id as patient_id,
        upper(replace(trim(icd_code), '.', '')) as code,
        case
            when chartdate is null then 'day_not_delivered'
            when code_system is null then 'code_system_not_known'
        end as excluded_reason
    from versioned
)

from procedure
