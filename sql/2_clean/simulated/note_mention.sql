-- Simulated mentions of clinical concepts in notes.
--
-- Grain:  one row per delivered mention
-- Key:    note_mention_id
-- Units:  none
-- Scope:  patient
-- Source: the simulator's extract
-- Rows:   raw_simulated.note_mention
with

note_mention as (
    select
        mention_date,
        concept,
        is_negated,
        'note_mention' as source_table,
        source_file,
        source_row,
        'simulated:' || note_mention_id as note_mention_id,
        'simulated:' || patient_id as patient_id,
        null as excluded_reason
    from raw_simulated.note_mention
)

from note_mention
