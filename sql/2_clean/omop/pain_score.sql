-- Pain scores in an OMOP CDM.
--
-- Grain:  one row per delivered measurement and per delivered observation
-- Key:    pain_score_id
-- Units:  score on the range of its instrument
-- Scope:  patient
-- Source: OMOP CDM 5.4; items in reference.pain_item, visits in reference.visit_setting
-- Rows:   raw_omop.measurement, raw_omop.observation
with

-- Where a pain item lands depends on the domain of its concept: of the LOINC items some are
-- measurements, some observations.
recorded as (
    select
        person_id,
        visit_occurrence_id,
        measurement_concept_id as item_concept_id,
        measurement_source_value as item_text,
        value_as_number,
        value_as_concept_id,
        value_source_value as value_text,
        'measurement' as source_table,
        source_file,
        source_row,
        'omop:measurement:' || measurement_id as pain_score_id,
        coalesce(measurement_datetime, measurement_date::timestamp) as scored_at
    from raw_omop.measurement
    union all by name
    select
        person_id,
        visit_occurrence_id,
        observation_concept_id as item_concept_id,
        observation_source_value as item_text,
        value_as_number,
        value_as_concept_id,
        'observation' as source_table,
        source_file,
        source_row,
        coalesce(value_source_value, value_as_string) as value_text,
        'omop:observation:' || observation_id as pain_score_id,
        coalesce(observation_datetime, observation_date::timestamp) as scored_at
    from raw_omop.observation
),

-- Beside a number a unit in braces ("6 {score}") and the code of an answer ("LA6752-5") say nothing
-- more.
worded as (
    select
        *,
        case
            when value_as_number is null then value_text
            when not regexp_full_match(trim(value_text), '(?i)LA\d+-\d')
                then regexp_replace(value_text, '\{[^}]*\}\s*$', '')
        end as own_text
    from recorded
),

-- The concept says what was asked; where the item was not mapped, the code in the source does.
-- A pain item that names no scale (LOINC 38208-5) is none of these: 5 of how many is not known.
pain_score as (
    select
        recorded.scored_at,
        recorded.value_as_number as score,
        recorded.source_table,
        recorded.source_file,
        recorded.source_row,
        recorded.pain_score_id,
        'omop:' || recorded.person_id as patient_id,
        coalesce(concept_item.instrument, code_item.instrument) as instrument,
        coalesce(concept_item.recall, code_item.recall) as recall,
        coalesce(setting.setting, 'unknown') as setting,
        nullif(trim(coalesce(recorded.own_text, answer.concept_name)), '') as score_text,
        case
            when concept_item.instrument is null and code_item.instrument is null
                then 'not_on_a_pain_scale'
        end as excluded_reason
    from worded as recorded
    left join reference.pain_item as concept_item
        on
            concept_item.source = 'omop'
            and recorded.item_concept_id::varchar = concept_item.item_code
    left join reference.pain_item as code_item
        on
            code_item.source = 'loinc'
            and trim(recorded.item_text) = code_item.item_code
            and coalesce(recorded.item_concept_id, 0) = 0
    left join raw_omop.concept as answer
        on recorded.value_as_concept_id = answer.concept_id and answer.concept_id <> 0
    left join raw_omop.visit_occurrence as visit
        on recorded.visit_occurrence_id = visit.visit_occurrence_id
    left join reference.visit_setting as setting
        on setting.source = 'omop' and visit.visit_concept_id::varchar = setting.visit_code
)

from pain_score
