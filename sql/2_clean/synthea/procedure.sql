-- Operations in a Synthea CSV export.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki);
--         operations in reference.surgery_code
-- Rows:   raw_synthea.procedures
with

known as (
    select
        *,
        case when system is null or lower(system) like '%snomed%' then 'SNOMED' end as code_system,
        trim(code) as plain_code
    from raw_synthea.procedures
),

-- An assessment or a vaccination is a procedure here too, and scores near it are no surgery's.
operation as (
    select distinct
        known.code_system,
        known.plain_code
    from known
    semi join reference.surgery_code as surgery
        on
            known.code_system = surgery.code_system
            and regexp_full_match(known.plain_code, surgery.code_pattern)
),

procedure as (
    select
        known.code_system,
        known.plain_code as code,
        'procedures' as source_table,
        known.source_file,
        known.source_row,
        'synthea:' || known.source_file || ':' || known.source_row as procedure_id,
        'synthea:' || known.patient as patient_id,
        try_cast(left(coalesce(known.start_text, known.date_text), 10) as date) as procedure_date,
        case
            when known.code_system is null then 'code_system_not_known'
            when operation.plain_code is null then 'not_known_as_surgery'
        end as excluded_reason
    from known
    left join operation
        on known.code_system = operation.code_system and known.plain_code = operation.plain_code
)

from procedure
