-- Simulated patients.
--
-- Grain:  one row per delivered patient
-- Key:    patient_id
-- Units:  birth_year in calendar years
-- Scope:  patient
-- Source: the simulator's extract
-- Rows:   raw_simulated.patient
with

patient as (
    select
        birth_year,
        observation_start_date,
        observation_end_date,
        death_date,
        'patient' as source_table,
        source_file,
        source_row,
        'simulated:' || patient_id as patient_id,
        case when lower(sex) in ('female', 'male') then lower(sex) else 'unknown' end as sex,
        null as excluded_reason
    from raw_simulated.patient
)

from patient
