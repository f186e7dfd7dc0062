-- Dose and pain of each patient side by side, month by month.
--
-- Grain:  one row per patient and month of therapy whose dose is known and covered
-- Key:    patient_index, month_number
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: trajectory.therapy_month, trajectory.pain_day; months of $month_days days are a design
--         choice
with

first_month as (
    select
        patient_index,
        min(start_date) as first_date
    from trajectory.therapy_month
    group by all
),

scored_week as (
    select
        first_month.patient_index,
        (day.score_date - first_month.first_date) // $month_days as month_number,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from first_month
    inner join trajectory.pain_day as day
        on
            first_month.patient_index = day.patient_index
            and day.score_date >= first_month.first_date
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
    group by all
),

scored as (
    select
        patient_index,
        month_number,
        round(avg(pain_nrs), 9) as pain_nrs
    from scored_week
    group by all
),

dose_pain_month as (
    select
        month.patient_index,
        month.month_number,
        month.mean_mme,
        round(log2(month.mean_mme), 9) as log2_mme,
        scored.pain_nrs
    from trajectory.therapy_month as month
    left join scored using (patient_index, month_number)
    where
        month.mean_mme > 0
        and month.lower_bound_days = 0
        and month.covered_days >= $min_coverage * $month_days
)

from dose_pain_month
