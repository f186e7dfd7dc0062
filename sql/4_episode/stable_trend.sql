-- How pain went before each episode while the dose was stable.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id
-- Units:  months of month_days; NRS points per month
-- Scope:  patient
-- Source: a stable baseline's months differ from its mean by no more than stable_share (design
--         choice)
with

month as (
    select months_back
    from unnest(range(1, 1000)) as counted (months_back)
    where months_back <= $look_back_days // $month_days
),

-- A run of equal dose is cut at the ends of the months that it reaches into.
supplied as (
    select
        episode.episode_id,
        period.dose_mme,
        period.is_lower_bound,
        episode.index_date
        - greatest(period.start_date, episode.index_date - $look_back_days) as first_days_back,
        episode.index_date - least(period.end_date, episode.index_date - 1) as last_days_back
    from episode.episode as episode
    inner join trajectory.dose_period as period
        on
            episode.patient_index = period.patient_index
            and period.start_date < episode.index_date
            and period.end_date >= episode.index_date - $look_back_days
    where episode.excluded_reason is null
),

measured as (
    select
        supplied.*,
        month.months_back,
        least(supplied.first_days_back, month.months_back * $month_days)
        - greatest(supplied.last_days_back, (month.months_back - 1) * $month_days + 1) + 1 as days
    from supplied
    inner join month
        on
            supplied.last_days_back <= month.months_back * $month_days
            and supplied.first_days_back > (month.months_back - 1) * $month_days
),

month_dose as (
    select
        episode_id,
        months_back,
        sum(dose_mme * days)
        / case $dose_definition when 'on_therapy_days' then sum(days) else $month_days end
            as mean_mme,
        bool_or(is_lower_bound) as has_unknown_dose
    from measured
    group by all
),

-- A month without supply or of unknown dose is not stable. Rounded, so that a month exactly at the
-- limit is not lost in the last binary digit.
deviating_month as (
    select
        episode.episode_id,
        min(month.months_back) as months_back
    from episode.episode as episode
    cross join month
    left join episode.window_dose as baseline
        on episode.episode_id = baseline.episode_id and baseline.window_name = 'B0'
    left join month_dose
        on
            episode.episode_id = month_dose.episode_id
            and month.months_back = month_dose.months_back
    where
        coalesce(
            month_dose.has_unknown_dose
            or round(abs(month_dose.mean_mme / nullif(baseline.mean_mme, 0) - 1), 9)
            > $stable_share,
            true
        )
    group by all
),

stable as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        coalesce(deviating_month.months_back - 1, $look_back_days // $month_days)::integer
            as stable_month_count
    from episode.episode as episode
    left join deviating_month using (episode_id)
    where episode.excluded_reason is null
),

-- What ends before the index date is read as it was known at the end of the response window.
scored_week as (
    select
        stable.episode_id,
        date_trunc('week', day.score_date)::date - stable.index_date as week_day,
        median(day.pain_nrs) as pain_nrs
    from stable
    inner join trajectory.pain_day as day
        on
            stable.patient_index = day.patient_index
            and day.score_date
            between stable.index_date - stable.stable_month_count * $month_days
            and stable.index_date - 1
            and list_contains($pain_settings, day.setting)
            and day.pain_nrs is not null
    where not day.is_masked or day.masked_by_date > stable.index_date + $response_to_day
    group by all
),

trend as (
    select
        episode_id,
        count(*) as scored_week_count,
        round(regr_slope(pain_nrs, week_day) * $month_days, 9) as rise_nrs_per_month
    from scored_week
    group by all
),

stable_trend as (
    select
        stable.episode_id,
        stable.patient_index,
        stable.stable_month_count,
        coalesce(trend.scored_week_count, 0) as scored_week_count,
        case when isfinite(trend.rise_nrs_per_month) then trend.rise_nrs_per_month end
            as rise_nrs_per_month
    from stable
    left join trend using (episode_id)
)

from stable_trend
