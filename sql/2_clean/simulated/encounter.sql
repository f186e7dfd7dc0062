-- Simulated visits and stays.
--
-- Grain:  one row per delivered encounter
-- Key:    encounter_id
-- Units:  dates
-- Scope:  patient
-- Source: the simulator's extract
-- Rows:   raw_simulated.encounter
with

encounter as (
    select
        start_date,
        end_date,
        'encounter' as source_table,
        source_file,
        source_row,
        'simulated:' || encounter_id as encounter_id,
        'simulated:' || patient_id as patient_id,
        coalesce(lower(encounter_kind), 'unknown') as setting,
        null as excluded_reason
    from raw_simulated.encounter
)

from encounter
