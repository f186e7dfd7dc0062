-- Pain scores charted in intensive care.
--
-- Grain:  one row per delivered chart entry
-- Key:    pain_score_id
-- Units:  pain_nrs on the numeric rating scale, 0 to 10
-- Scope:  patient
-- Source: items in reference.pain_item, words in reference.pain_text
-- Rows:   raw_mimic_iv.chartevents
with

-- The score is charted as words; only blanks at the ends are taken off, because a full stop tells
-- 3 from 4. A score asked after a treatment keeps its row and says so in recall.
read_by_table as (
    select
        entry.*,
        item.instrument,
        item.recall,
        word.score_text,
        word.pain_nrs as text_nrs,
        word.unknown_reason as text_reason
    from raw_mimic_iv.chartevents as entry
    left join reference.pain_item as item
        on item.source = 'mimic_iv' and entry.itemid::varchar = item.item_code
    left join reference.pain_text as word
        on word.source = 'mimic_iv' and trim(entry.value) = word.score_text
),

-- The number delivered beside the words is a check, never a stand-in: where the two disagree,
-- nobody can say which is right. No number at all contradicts nothing.
judged as (
    select
        *,
        case
            when value is null then 'score_not_charted'
            when score_text is null then 'text_not_known'
            when valuenum <> text_nrs then 'number_contradicts_text'
            when valuenum is not null and text_nrs is null then 'number_contradicts_text'
            else text_reason
        end as unknown_reason
    from read_by_table
),

pain_score as (
    select
        charttime as scored_at,
        instrument,
        recall,
        'icu' as setting,
        unknown_reason,
        'chartevents' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || source_file || ':' || source_row as pain_score_id,
        'mimic_iv:' || subject_id as patient_id,
        case when unknown_reason is null then text_nrs end as pain_nrs,
        case when instrument is null then 'not_a_pain_score' end as excluded_reason
    from judged
)

from pain_score
