-- Mean pain of each episode in each of its windows.
--
-- Grain:  one row per episode per window, also where no score was recorded
-- Key:    episode_id, window_name
-- Units:  NRS points; standard errors too
-- Scope:  patient
-- Source: mean of weekly medians; standard error from a pooled within-person SD (settings)
with

-- Outpatient scores only: hospital scores speak of the stay. A procedure also masks the days before
-- it, but what ends with the response window is read as it was known then.
scored_week as (
    select
        win.episode_id,
        win.window_name,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs,
        sum(day.score_count) as score_count
    from episode.episode_window as win
    inner join trajectory.pain_day as day
        on
            win.patient_index = day.patient_index
            and day.score_date between win.start_date and win.end_date
            and list_contains($pain_settings, day.setting)
            and day.pain_nrs is not null
    inner join episode.episode as episode on win.episode_id = episode.episode_id
    where
        not day.is_masked
        or (
            win.end_date <= episode.index_date + $response_to_day
            and day.masked_by_date > episode.index_date + $response_to_day
        )
    group by all
),

-- Rounded, because the last digit of a sum depends on the order in which threads add up.
summed as (
    select
        episode_id,
        window_name,
        count(*) as scored_week_count,
        sum(score_count)::bigint as score_count,
        round(avg(pain_nrs), 9) as mean_nrs,
        round(stddev_samp(pain_nrs), 9) as weekly_sd_nrs
    from scored_week
    group by all
),

window_pain as (
    select
        win.episode_id,
        win.patient_index,
        win.window_name,
        coalesce(summed.scored_week_count, 0) as scored_week_count,
        coalesce(summed.score_count, 0) as score_count,
        summed.mean_nrs,
        summed.weekly_sd_nrs,
        $within_person_sd_nrs / sqrt(summed.scored_week_count) as standard_error_nrs
    from episode.episode_window as win
    left join summed using (episode_id, window_name)
)

from window_pain
