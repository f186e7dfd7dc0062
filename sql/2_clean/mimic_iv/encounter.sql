-- Hospital stays.
--
-- Grain:  one row per delivered stay
-- Key:    encounter_id
-- Units:  dates
-- Scope:  patient
-- Source: MIMIC-IV (doi:10.13026/07hj-2a80 for the demo)
-- Rows:   raw_mimic_iv.admissions
with

-- Whatever the kind of admission, the patient is in a hospital bed until discharge; time in the
-- emergency department before it is part of the stay's first day.
encounter as (
    select
        'inpatient' as setting,
        'admissions' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || hadm_id as encounter_id,
        'mimic_iv:' || subject_id as patient_id,
        admittime::date as start_date,
        dischtime::date as end_date,
        null as excluded_reason
    from raw_mimic_iv.admissions
)

from encounter
