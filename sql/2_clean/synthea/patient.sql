-- People in a Synthea CSV export.
--
-- Grain:  one row per delivered person
-- Key:    patient_id
-- Units:  birth_year in calendar years
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki)
-- Rows:   raw_synthea.patients
with

-- Records are written at visits alone, so between the first and the last one a record would be
-- there. A visit that has not ended ends with its begin.
observed as (
    select
        patient,
        min(try_cast(left(start_text, 10) as date)) as observation_start_date,
        max(try_cast(left(coalesce(stop_text, start_text), 10) as date)) as observation_end_date
    from raw_synthea.encounters
    group by patient
),

patient as (
    select
        observed.observation_start_date,
        observed.observation_end_date,
        person.deathdate as death_date,
        'patients' as source_table,
        person.source_file,
        person.source_row,
        null as excluded_reason,
        'synthea:' || person.id as patient_id,
        case person.gender when 'F' then 'female' when 'M' then 'male' else 'unknown' end as sex,
        year(person.birthdate) as birth_year
    from raw_synthea.patients as person
    left join observed on person.id = observed.patient
)

from patient
