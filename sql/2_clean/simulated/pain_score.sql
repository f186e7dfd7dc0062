-- Simulated pain scores on the numeric rating scale (NRS).
--
-- Grain:  one row per delivered score
-- Key:    pain_score_id
-- Units:  pain_nrs in NRS points, 0 to 10
-- Scope:  patient
-- Source: words instead of a number in reference.pain_text
-- Rows:   raw_simulated.pain_score
with

-- A number stays as delivered: the clean table's contract refuses what is not 0 to 10. Words are
-- looked up whole; words that nobody has given a meaning are unknown, never zero.
score as (
    select
        delivered.*,
        coalesce(try_cast(delivered.score as double), pain_text.pain_nrs) as pain_nrs,
        pain_text.unknown_reason
    from raw_simulated.pain_score as delivered
    left join reference.pain_text as pain_text
        on trim(delivered.score) = pain_text.score_text and pain_text.source = 'simulated'
),

pain_score as (
    select
        scored_at,
        upper(instrument) as instrument,
        'now' as recall,
        lower(setting) as setting,
        'pain_score' as source_table,
        source_file,
        source_row,
        pain_nrs,
        'simulated:' || pain_score_id as pain_score_id,
        'simulated:' || patient_id as patient_id,
        case
            when pain_nrs is not null then null
            when score is null then 'score_not_charted'
            else coalesce(unknown_reason, 'text_not_known')
        end as unknown_reason,
        case when upper(instrument) <> 'NRS' then 'other_instrument' end as excluded_reason
    from score
)

from pain_score
