-- Operations in an OMOP CDM.
--
-- Grain:  one row per delivered procedure
-- Key:    procedure_id
-- Units:  none
-- Scope:  patient
-- Source: OMOP CDM 5.4; code systems by the names that the OHDSI Standardized Vocabularies give
--         them; operations in reference.surgery_code
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

-- An assessment or an office visit is a procedure here too, and scores near it are no surgery's.
operation as (
    select distinct
        known.code_system,
        known.code
    from known
    semi join reference.surgery_code as surgery
        on
            known.code_system = surgery.code_system
            and regexp_full_match(known.code, surgery.code_pattern)
),

procedure as (
    select
        known.procedure_date,
        known.code_system,
        known.code,
        'procedure_occurrence' as source_table,
        known.source_file,
        known.source_row,
        'omop:' || known.procedure_occurrence_id as procedure_id,
        'omop:' || known.person_id as patient_id,
        case
            when known.code_system is null then 'code_system_not_known'
            when operation.code is null then 'not_known_as_surgery'
        end as excluded_reason
    from known
    left join operation on known.code_system = operation.code_system and known.code = operation.code
)

from procedure
