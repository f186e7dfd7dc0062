-- Contacts with the health system of a FHIR bulk export.
--
-- Grain:  one row per delivered Encounter
-- Key:    encounter_id
-- Units:  dates
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Encounter; classes in reference.fhir_encounter_class, states in
--         reference.fhir_status
-- Rows:   raw_fhir.encounter
with

-- A time keeps the clock it was delivered with; a date without a day is none.
dated as (
    select
        encounter.*,
        class.encounter_setting,
        status.excluded_reason as status_reason,
        try_cast(regexp_extract(encounter.start_at, '^\d{4}-\d{2}-\d{2}') as date) as start_date,
        try_cast(regexp_extract(encounter.end_at, '^\d{4}-\d{2}-\d{2}') as date) as end_date
    from raw_fhir.encounter as encounter
    left join reference.fhir_encounter_class as class on encounter.class_code = class.class_code
    left join reference.fhir_status as status
        on status.resource_type = 'Encounter' and encounter.status = status.status
),

encounter as (
    select
        start_date,
        end_date,
        'encounter' as source_table,
        source_file,
        source_row,
        'fhir:' || id as encounter_id,
        'fhir:' || fhir_id(subject) as patient_id,
        coalesce(encounter_setting, 'unknown') as setting,
        case
            when status_reason is not null then status_reason
            when start_date is null then 'day_not_known'
        end as excluded_reason
    from dated
)

from encounter
