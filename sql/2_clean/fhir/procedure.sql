-- Procedures of a FHIR bulk export.
--
-- Grain:  one row per delivered Procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Procedure; code systems in reference.fhir_code_system, states in
--         reference.fhir_status
-- Rows:   raw_fhir.procedure
with

-- FHIR has one name for ICD-9-CM: of a procedure it means volume 3.
coding as (
    select
        id,
        unnest(
            json_transform(code, '{"coding": [{"system": "VARCHAR", "code": "VARCHAR"}]}').coding
        ) as coding
    from raw_fhir.procedure
),

coded as (
    select
        coding.id,
        coding.coding.code,
        replace(system.code_system, 'ICD9CM', 'ICD9PCS') as code_system
    from coding
    inner join reference.fhir_code_system as system on coding.coding.system = system.system_uri
    where coding.coding.code is not null and system.code_system <> 'ICD10CM'
    qualify row_number() over (
        partition by coding.id
        order by system.preference, coding.coding.code
    ) = 1
),

-- A date without a day is none.
dated as (
    select
        done.*,
        coded.code_system,
        coded.code as chosen_code,
        status.excluded_reason as status_reason,
        try_cast(
            regexp_extract(
                coalesce(done.performed_at, done.started_at), '^\d{4}-\d{2}-\d{2}'
            ) as date
        ) as procedure_date
    from raw_fhir.procedure as done
    left join coded on done.id = coded.id
    left join reference.fhir_status as status
        on status.resource_type = 'Procedure' and done.status = status.status
),

procedure as (
    select
        procedure_date,
        code_system,
        'procedure' as source_table,
        source_file,
        source_row,
        'fhir:' || id as procedure_id,
        'fhir:' || fhir_id(subject) as patient_id,
        upper(replace(trim(chosen_code), '.', '')) as code,
        case
            when status_reason is not null then status_reason
            when procedure_date is null then 'day_not_known'
            when code_system is null then 'code_system_not_known'
        end as excluded_reason
    from dated
)

from procedure
