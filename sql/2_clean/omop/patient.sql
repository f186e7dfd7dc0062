-- People in an OMOP CDM.
--
-- Grain:  one row per delivered person
-- Key:    patient_id
-- Units:  birth_year in the calendar of the extract
-- Scope:  patient
-- Source: OMOP CDM 5.4, tables person, observation_period and death; sex concepts of the OHDSI
--         Standardized Vocabularies, vocabulary Gender
-- Rows:   raw_omop.person
with

-- A person may have several spans. From the first day of the first to the last day of the last,
-- gaps included: what is missing in a gap looks like a time without events.
observed as (
    select
        person_id,
        min(observation_period_start_date) as observation_start_date,
        max(observation_period_end_date) as observation_end_date
    from raw_omop.observation_period
    group by person_id
),

patient as (
    select
        person.year_of_birth as birth_year,
        observed.observation_start_date,
        observed.observation_end_date,
        death.death_date,
        'person' as source_table,
        person.source_file,
        person.source_row,
        null as excluded_reason,
        'omop:' || person.person_id as patient_id,
        case person.gender_concept_id
            when 8532 then 'female'
            when 8507 then 'male'
            else 'unknown'
        end as sex
    from raw_omop.person as person
    left join observed on person.person_id = observed.person_id
    left join raw_omop.death as death on person.person_id = death.person_id
)

from patient
