-- Coded procedures in an OMOP CDM.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: OMOP CDM 5.4; code systems by the names that the OHDSI Standardized Vocabularies give
--         them
-- Rows:   raw_omop.procedure_occurrence
with

-- What the source coded comes first, its standard concept second.
coded as (
    select
        procedure.*,
        coalesce(source_code.vocabulary_id, standard.vocabulary_id) as vocabulary_id,
        upper(replace(
            trim(coalesce(source_code.concept_code, standard.concept_code)), '.', ''
        )) as code
    from raw_omop.procedure_occurrence as procedure
    left join raw_omop.concept as source_code
        on
            procedure.procedure_source_concept_id = source_code.concept_id
            and source_code.vocabulary_id in ('CPT4', 'HCPCS', 'ICD10PCS', 'ICD9Proc')
    left join raw_omop.concept as standard
        on
            procedure.procedure_concept_id = standard.concept_id
            and standard.vocabulary_id in ('CPT4', 'HCPCS', 'ICD10PCS', 'ICD9Proc', 'SNOMED')
),

known as (
    select
        *,
        case vocabulary_id when 'ICD9Proc' then 'ICD9PCS' else vocabulary_id end as code_system
    from coded
),

procedure as (
    select
        procedure_date,
        code_system,
        code,
        'procedure_occurrence' as source_table,
        source_file,
        source_row,
        'omop:' || procedure_occurrence_id as procedure_id,
        'omop:' || person_id as patient_id,
        case when code_system is null then 'code_system_not_known' end as excluded_reason
    from known
)

from procedure
