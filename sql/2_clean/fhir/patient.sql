-- People of a FHIR bulk export.
--
-- Grain:  one row per delivered Patient
-- Key:    patient_id
-- Units:  birth_year in calendar years
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Patient
-- Rows:   raw_fhir.patient
with

-- Every dated resource of a patient. A time keeps the clock it was delivered with, and a date
-- without a day ("2021-05") is none.
dated as (
    select
        subject,
        start_at as dated_at
    from raw_fhir.encounter
    union all
    select
        subject,
        end_at as dated_at
    from raw_fhir.encounter
    union all
    select
        subject,
        authored_at as dated_at
    from raw_fhir.medication_request
    union all
    select
        subject,
        coalesce(handed_over_at, prepared_at) as dated_at
    from raw_fhir.medication_dispense
    union all
    select
        subject,
        coalesce(effective_at, started_at) as dated_at
    from raw_fhir.medication_administration
    union all
    select
        subject,
        coalesce(effective_at, effective_instant, started_at) as dated_at
    from raw_fhir.observation
    union all
    select
        subject,
        recorded_at as dated_at
    from raw_fhir.condition
    union all
    select
        subject,
        coalesce(performed_at, started_at) as dated_at
    from raw_fhir.procedure
),

event as (
    select
        fhir_id(subject) as id,
        try_cast(
            regexp_extract(dated_at, '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?')
            as timestamp
        )::date as event_date
    from dated
),

-- A bulk export knows no enrolment. From the first record of a patient to the last, one more would
-- have been delivered; the convention for health records in the OMOP model.
observed as (
    select
        id,
        min(event_date) as observation_start_date,
        max(event_date) as observation_end_date
    from event
    where event_date is not null
    group by id
),

patient as (
    select
        observed.observation_start_date,
        observed.observation_end_date,
        'patient' as source_table,
        patient.source_file,
        patient.source_row,
        null as excluded_reason,
        'fhir:' || patient.id as patient_id,
        case
            when lower(patient.gender) in ('female', 'male') then lower(patient.gender)
            else 'unknown'
        end as sex,
        try_cast(regexp_extract(patient.birth_date, '^\d{4}') as integer) as birth_year,
        try_cast(regexp_extract(patient.deceased_at, '^\d{4}-\d{2}-\d{2}') as date)
            as death_date
    from raw_fhir.patient as patient
    left join observed on patient.id = observed.id
)

from patient
