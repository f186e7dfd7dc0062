-- Dose and pain around the index date, in months, by tier.
--
-- Grain:  one row per tier per 30-day month from a year before to a year after the index date
-- Key:    tier, month_number
-- Units:  doses in MME per day, pain in NRS points; month 0 begins at the index date
-- Scope:  cohort
-- Source: label.tier, trajectory.dose_period, trajectory.pain_day; descriptive
with

month_of_episode as (
    select
        tier.tier,
        tier.episode_id,
        tier.patient_index,
        month_number,
        episode.index_date + (month_number * 30)::integer as start_date,
        episode.index_date + (month_number * 30 + 29)::integer as end_date
    from label.tier as tier
    inner join episode.episode as episode using (episode_id)
    cross join unnest(range(-12, 12)) as month (month_number)
    where
        episode.index_kind = 'dose_led'
        and episode.index_date + (month_number * 30 + 29)::integer <= episode.follow_up_end_date
),

monthly_dose as (
    select
        month.episode_id,
        month.month_number,
        sum(
            period.dose_mme * (
                least(month.end_date, period.end_date)
                - greatest(month.start_date, period.start_date) + 1
            )
        ) / 30 as mean_mme
    from month_of_episode as month
    inner join trajectory.dose_period as period
        on
            month.patient_index = period.patient_index
            and period.start_date <= month.end_date
            and period.end_date >= month.start_date
    group by all
),

scored_week as (
    select
        month.episode_id,
        month.month_number,
        median(day.pain_nrs) as pain_nrs
    from month_of_episode as month
    inner join trajectory.pain_day as day
        on
            month.patient_index = day.patient_index
            and day.score_date between month.start_date and month.end_date
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
    group by month.episode_id, month.month_number, date_trunc('week', day.score_date)
),

monthly_pain as (
    select
        episode_id,
        month_number,
        avg(pain_nrs) as mean_nrs
    from scored_week
    group by all
),

episode_trajectory as (
    select
        month.tier,
        month.month_number::integer as month_number,
        count(distinct month.patient_index) as observed_patients,
        median(coalesce(dose.mean_mme, 0)) as median_mme,
        quantile_cont(coalesce(dose.mean_mme, 0), 0.25) as lower_quartile_mme,
        quantile_cont(coalesce(dose.mean_mme, 0), 0.75) as upper_quartile_mme,
        count(distinct month.patient_index) filter (where pain.mean_nrs is not null)
            as scored_patients,
        avg(pain.mean_nrs) as mean_nrs,
        stddev_samp(pain.mean_nrs) / sqrt(count(pain.mean_nrs)) as standard_error_nrs
    from month_of_episode as month
    left join monthly_dose as dose using (episode_id, month_number)
    left join monthly_pain as pain using (episode_id, month_number)
    group by all
)

from episode_trajectory
