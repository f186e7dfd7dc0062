-- Problems and diagnoses of a FHIR bulk export.
--
-- Grain:  one row per delivered Condition
-- Key:    diagnosis_id
-- Units:  none
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Condition; code systems in reference.fhir_code_system, states in
--         reference.fhir_status
-- Rows:   raw_fhir.condition
with

-- A condition may be coded in several systems; the one preferred stands for it.
coding as (
    select
        id,
        unnest(
            json_transform(code, '{"coding": [{"system": "VARCHAR", "code": "VARCHAR"}]}').coding
        ) as coding
    from raw_fhir.condition
),

coded as (
    select
        coding.id,
        system.code_system,
        coding.coding.code
    from coding
    inner join reference.fhir_code_system as system on coding.coding.system = system.system_uri
    where
        coding.coding.code is not null
        and system.code_system in ('ICD10CM', 'ICD9CM', 'SNOMED')
    qualify row_number() over (
        partition by coding.id
        order by system.preference, coding.coding.code
    ) = 1
),

-- What counts is when the diagnosis was known, so its recording goes before its onset. A date
-- without a day is none.
dated as (
    select
        condition.*,
        coded.code_system,
        coded.code as chosen_code,
        status.excluded_reason as status_reason,
        try_cast(
            regexp_extract(
                coalesce(condition.recorded_at, condition.onset_at, condition.onset_start),
                '^\d{4}-\d{2}-\d{2}'
            ) as date
        ) as diagnosis_date
    from raw_fhir.condition as condition
    left join coded on condition.id = coded.id
    left join reference.fhir_status as status
        on
            status.resource_type = 'Condition'
            and json_extract_string(condition.verification_status, '$.coding[0].code')
            = status.status
),

diagnosis as (
    select
        diagnosis_date,
        code_system,
        'condition' as source_table,
        source_file,
        source_row,
        'fhir:' || id as diagnosis_id,
        'fhir:' || fhir_id(subject) as patient_id,
        upper(replace(trim(chosen_code), '.', '')) as code,
        case
            when status_reason is not null then status_reason
            when diagnosis_date is null then 'day_not_known'
            when code_system is null then 'code_system_not_known'
        end as excluded_reason
    from dated
)

from diagnosis
