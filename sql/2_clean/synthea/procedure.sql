-- Coded procedures in a Synthea CSV export.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki)
-- Rows:   raw_synthea.procedures
with

known as (
    select
        *,
        case when system is null or lower(system) like '%snomed%' then 'SNOMED' end as code_system,
        trim(code) as plain_code
    from raw_synthea.procedures
),

procedure as (
    select
        code_system,
        plain_code as code,
        'procedures' as source_table,
        source_file,
        source_row,
        'synthea:' || source_file || ':' || source_row as procedure_id,
        'synthea:' || patient as patient_id,
        try_cast(left(coalesce(start_text, date_text), 10) as date) as procedure_date,
        case when code_system is null then 'code_system_not_known' end as excluded_reason
    from known
)

from procedure
