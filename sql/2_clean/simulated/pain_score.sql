-- Simulated pain scores on the numeric rating scale (NRS) and the PEG.
--
-- Grain:  one row per delivered score
-- Key:    pain_score_id
-- Units:  score as text, a number from 0 to 10 or words
-- Scope:  patient
-- Source: pipelines/simulator
-- Rows:   raw_simulated.pain_score
with

pain_score as (
    select
        scored_at,
        upper(instrument) as instrument,
        case when upper(instrument) = 'PEG' then 'average' else 'now' end as recall,
        lower(setting) as setting,
        score as score_text,
        'pain_score' as source_table,
        source_file,
        source_row,
        'simulated:' || pain_score_id as pain_score_id,
        'simulated:' || patient_id as patient_id,
        null::varchar as excluded_reason
    from raw_simulated.pain_score
)

from pain_score
