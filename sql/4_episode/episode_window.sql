-- The windows of each episode.
--
-- Grain:  one row per episode per window
-- Key:    episode_id, window_name
-- Units:  days
-- Scope:  patient
-- Source: windows are design choices: B1 and B0 baselines, E early, R response, R2 late response
with

window_day as (
    select
        unnest(['B1', 'B0', 'E', 'R', 'R2']) as window_name,
        unnest([
            $distal_from_day, $proximal_from_day, $early_from_day, $response_from_day,
            $late_from_day
        ])::integer as from_day,
        unnest([
            $distal_to_day, $proximal_to_day, $early_to_day, $response_to_day, $late_to_day
        ])::integer as to_day
),

episode_window as (
    select
        episode.episode_id,
        episode.patient_index,
        window_day.window_name,
        episode.index_date + window_day.from_day as start_date,
        episode.index_date + window_day.to_day as end_date,
        coalesce(episode.follow_up_days >= window_day.to_day, false) as is_observed
    from episode.episode as episode
    cross join window_day
)

from episode_window
