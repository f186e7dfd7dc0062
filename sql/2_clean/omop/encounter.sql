-- Visits in an OMOP CDM.
--
-- Grain:  one row per delivered visit
-- Key:    encounter_id
-- Units:  dates
-- Scope:  patient
-- Source: OMOP CDM 5.4; visit concepts in reference.visit_setting
-- Rows:   raw_omop.visit_occurrence
with

encounter as (
    select
        visit.visit_start_date as start_date,
        visit.visit_end_date as end_date,
        'visit_occurrence' as source_table,
        visit.source_file,
        visit.source_row,
        'omop:' || visit.visit_occurrence_id as encounter_id,
        'omop:' || visit.person_id as patient_id,
        coalesce(kind.encounter_setting, 'unknown') as setting,
        null as excluded_reason
    from raw_omop.visit_occurrence as visit
    left join reference.visit_setting as kind
        on kind.source = 'omop' and visit.visit_concept_id::varchar = kind.visit_code
)

from encounter
