-- Visits in a Synthea CSV export.
--
-- Grain:  one row per delivered encounter
-- Key:    encounter_id
-- Units:  dates
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki);
--         kinds of visits in reference.visit_setting
-- Rows:   raw_synthea.encounters
with

encounter as (
    select
        'encounters' as source_table,
        visit.source_file,
        visit.source_row,
        'synthea:' || visit.id as encounter_id,
        'synthea:' || visit.patient as patient_id,
        try_cast(left(visit.start_text, 10) as date) as start_date,
        try_cast(left(visit.stop_text, 10) as date) as end_date,
        coalesce(kind.encounter_setting, 'unknown') as setting,
        null as excluded_reason
    from raw_synthea.encounters as visit
    left join reference.visit_setting as kind
        on kind.source = 'synthea' and lower(trim(visit.encounterclass)) = kind.visit_code
)

from encounter
