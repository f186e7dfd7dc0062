-- Simulated coded diagnoses.
--
-- Grain:  one row per delivered diagnosis
-- Key:    diagnosis_id
-- Units:  none
-- Scope:  patient
-- Source: the simulator's extract
-- Rows:   raw_simulated.diagnosis
with

diagnosis as (
    select
        diagnosis_date,
        code_system,
        'diagnosis' as source_table,
        source_file,
        source_row,
        'simulated:' || diagnosis_id as diagnosis_id,
        'simulated:' || patient_id as patient_id,
        upper(replace(code, '.', '')) as code,
        null as excluded_reason
    from raw_simulated.diagnosis
)

from diagnosis
