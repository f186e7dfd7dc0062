-- Pain scores in a Synthea CSV export.
--
-- Grain:  one row per delivered observation
-- Key:    pain_score_id
-- Units:  score_text on the range of its instrument
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki);
--         items in reference.pain_item, visits in reference.visit_setting
-- Rows:   raw_synthea.observations
with

-- The pain scores of KOOS and HOOS, 0 to 100 with 100 for no pain, are items of their own. A pain
-- item that names no scale is left out: 5 of how many is not known.
pain_score as (
    select
        item.instrument,
        item.recall,
        'observations' as source_table,
        observation.source_file,
        observation.source_row,
        'synthea:' || observation.source_file || ':' || observation.source_row as pain_score_id,
        'synthea:' || observation.patient as patient_id,
        try_cast(replace(observation.date_text, 'Z', '') as timestamp) as scored_at,
        coalesce(setting.setting, 'unknown') as setting,
        nullif(trim(observation.value), '') as score_text,
        case when item.instrument is null then 'not_on_a_pain_scale' end as excluded_reason
    from raw_synthea.observations as observation
    left join reference.pain_item as item
        on item.source = 'synthea' and trim(observation.code) = item.item_code
    left join raw_synthea.encounters as encounter on observation.encounter = encounter.id
    left join reference.visit_setting as setting
        on setting.source = 'synthea' and lower(trim(encounter.encounterclass)) = setting.visit_code
)

from pain_score
