-- Pain scores charted in intensive care.
--
-- Grain:  one row per delivered chart entry
-- Key:    pain_score_id
-- Units:  score on the numeric rating scale, 0 to 10, as delivered
-- Scope:  patient
-- Source: items in reference.pain_item
-- Rows:   raw_mimic_iv.chartevents
with

-- The score is charted as words, with a number beside them. A score asked after a treatment says so
-- in recall.
pain_score as (
    select
        entry.charttime as scored_at,
        item.instrument,
        item.recall,
        'icu' as setting,
        entry.value as score_text,
        entry.valuenum as score,
        'chartevents' as source_table,
        entry.source_file,
        entry.source_row,
        'mimic_iv:' || entry.source_file || ':' || entry.source_row as pain_score_id,
        'mimic_iv:' || entry.subject_id as patient_id,
        case when item.instrument is null then 'not_a_pain_score' end as excluded_reason
    from raw_mimic_iv.chartevents as entry
    left join reference.pain_item as item
        on item.source = 'mimic_iv' and entry.itemid::varchar = item.item_code
)

from pain_score
