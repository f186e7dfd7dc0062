-- Coded diagnoses in a Synthea CSV export.
--
-- Grain:  one row per delivered condition
-- Key:    diagnosis_id
-- Units:  none
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki)
-- Rows:   raw_synthea.conditions
with

-- The system is delivered as its address (http://snomed.info/sct) or its name. Before it was
-- delivered at all, every code was of SNOMED CT.
known as (
    select
        *,
        case
            when system is null or lower(system) like '%snomed%' then 'SNOMED'
            when lower(system) like '%icd-10-cm%' or lower(system) like '%icd10%' then 'ICD10CM'
        end as code_system
    from raw_synthea.conditions
),

diagnosis as (
    select
        code_system,
        'conditions' as source_table,
        source_file,
        source_row,
        'synthea:' || source_file || ':' || source_row as diagnosis_id,
        'synthea:' || patient as patient_id,
        try_cast(left(start_text, 10) as date) as diagnosis_date,
        upper(replace(trim(code), '.', '')) as code,
        case when code_system is null then 'code_system_not_known' end as excluded_reason
    from known
)

from diagnosis
