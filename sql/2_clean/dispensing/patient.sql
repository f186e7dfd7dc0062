-- People whose dispensings are delivered.
--
-- Grain:  one row per delivered patient
-- Key:    patient_id
-- Units:  birth_year in calendar years
-- Scope:  patient
-- Source: docs/dispensing_layout.md
-- Rows:   raw_dispensing.patient
with

event as (
    select
        patient_id,
        fill_date as event_date
    from raw_dispensing.dispensing
    union all
    select
        patient_id,
        scored_at::date as event_date
    from raw_dispensing.pain
),

-- Without a period of observation, from the first record to the last one more would have been
-- delivered.
observed as (
    select
        patient_id,
        min(event_date) as first_date,
        max(event_date) as last_date
    from event
    group by patient_id
),

patient as (
    select
        patient.birth_year,
        patient.death_date,
        'patient' as source_table,
        patient.source_file,
        patient.source_row,
        null as excluded_reason,
        'dispensing:' || patient.patient_id as patient_id,
        case lower(trim(patient.sex))
            when 'f' then 'female'
            when 'female' then 'female'
            when 'm' then 'male'
            when 'male' then 'male'
            else 'unknown'
        end as sex,
        coalesce(patient.observation_start_date, observed.first_date) as observation_start_date,
        coalesce(patient.observation_end_date, observed.last_date) as observation_end_date
    from raw_dispensing.patient as patient
    left join observed on patient.patient_id = observed.patient_id
)

from patient
