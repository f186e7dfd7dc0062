-- Pain scores beside the dispensings, as delivered.
--
-- Grain:  one row per delivered score
-- Key:    pain_score_id
-- Units:  score as text, on the range of its instrument
-- Scope:  patient
-- Source: docs/dispensing_layout.md
-- Rows:   raw_dispensing.pain
with

pain_score as (
    select
        scored_at,
        score as score_text,
        'pain' as source_table,
        source_file,
        source_row,
        upper(trim(instrument)) as instrument,
        coalesce(lower(trim(recall)), 'unknown') as recall,
        coalesce(lower(trim(setting)), 'unknown') as setting,
        'dispensing:' || source_file || ':' || source_row as pain_score_id,
        'dispensing:' || patient_id as patient_id,
        null as excluded_reason
    from raw_dispensing.pain
)

from pain_score
