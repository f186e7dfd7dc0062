-- Coded diagnoses in an OMOP CDM.
--
-- Grain:  one row per delivered condition, observation and procedure
-- Key:    diagnosis_id
-- Units:  none
-- Scope:  patient
-- Source: OMOP CDM 5.4; code systems by the names that the OHDSI Standardized Vocabularies give
--         them
-- Rows:   raw_omop.condition_occurrence, raw_omop.observation, raw_omop.procedure_occurrence
with

-- A code of ICD lands where the domain of its standard concept says: palliative care (Z51.5) is an
-- observation or a procedure, and would be missed among the conditions.
recorded as (
    select
        person_id,
        condition_start_date as diagnosis_date,
        condition_source_concept_id as source_concept_id,
        condition_concept_id as standard_concept_id,
        'condition_occurrence' as source_table,
        source_file,
        source_row,
        'omop:condition:' || condition_occurrence_id as diagnosis_id
    from raw_omop.condition_occurrence
    union all by name
    select
        person_id,
        observation_date as diagnosis_date,
        observation_source_concept_id as source_concept_id,
        null as standard_concept_id,
        'observation' as source_table,
        source_file,
        source_row,
        'omop:observation:' || observation_id as diagnosis_id
    from raw_omop.observation
    union all by name
    select
        person_id,
        procedure_date as diagnosis_date,
        procedure_source_concept_id as source_concept_id,
        null as standard_concept_id,
        'procedure_occurrence' as source_table,
        source_file,
        source_row,
        'omop:procedure:' || procedure_occurrence_id as diagnosis_id
    from raw_omop.procedure_occurrence
),

-- What the source coded in ICD is what the code lists are written in. The standard concept, SNOMED
-- CT, is the second choice, and of conditions only: most observations are no diagnoses.
coded as (
    select
        recorded.*,
        coalesce(source_code.vocabulary_id, standard.vocabulary_id) as code_system,
        coalesce(source_code.concept_code, standard.concept_code) as code_text
    from recorded
    left join raw_omop.concept as source_code
        on
            recorded.source_concept_id = source_code.concept_id
            and source_code.vocabulary_id in ('ICD10CM', 'ICD9CM')
    left join raw_omop.concept as standard
        on
            recorded.standard_concept_id = standard.concept_id
            and standard.vocabulary_id = 'SNOMED'
),

diagnosis as (
    select
        diagnosis_date,
        code_system,
        source_table,
        source_file,
        source_row,
        diagnosis_id,
        'omop:' || person_id as patient_id,
        upper(replace(trim(code_text), '.', '')) as code,
        case
            when code_system is not null then null
            when source_table = 'condition_occurrence' then 'code_system_not_known'
            else 'not_a_diagnosis'
        end as excluded_reason
    from coded
)

from diagnosis
