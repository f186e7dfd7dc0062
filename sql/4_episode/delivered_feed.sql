-- Which feeds were delivered for the patient of each episode: without one, nothing is denied.
--
-- Grain:  one row per episode
-- Key:    episode_id
-- Units:  none
-- Scope:  patient
-- Source: clean.source_coverage
with

feed as (
    select
        source,
        bool_or(is_delivered) filter (where table_name = 'diagnosis') as has_diagnoses,
        bool_or(is_delivered) filter (where table_name = 'procedure') as has_procedures,
        bool_or(is_delivered) filter (where table_name = 'encounter') as has_encounters,
        bool_or(is_delivered) filter (where table_name = 'adjuvant') as has_adjuvants,
        bool_or(is_delivered) filter (where table_name = 'note_mention') as has_notes
    from clean.source_coverage
    group by all
),

delivered_feed as (
    select
        episode.episode_id,
        coalesce(feed.has_diagnoses, false) as has_diagnoses,
        coalesce(feed.has_procedures, false) as has_procedures,
        coalesce(feed.has_encounters, false) as has_encounters,
        coalesce(feed.has_adjuvants, false) as has_adjuvants,
        coalesce(feed.has_notes, false) as has_notes
    from episode.episode as episode
    left join clean.patient as patient using (patient_index)
    left join feed on patient.source = feed.source
)

from delivered_feed
