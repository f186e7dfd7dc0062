-- Patients with a year of stable dose and whether it was tapered (Fenton 2019, Agnoli 2021).
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: Fenton 2019 (JAMA Netw Open, PMC6902834) and Agnoli 2021 (JAMA 326:411): at least 15 %
--         below a year's stable mean of at least 50 MME in any of 6 overlapping windows of 60 days;
--         fast is more than 10 % a week, here from one month to the next (design choice)
with

-- The first year that is stable, whatever comes after it.
entry as (
    select
        month.patient_index,
        month.month_number,
        month.start_date as entry_date,
        month.year_mme as baseline_mme
    from trajectory.therapy_month as month
    where month.is_year_stable and month.year_mme >= $taper_baseline_min_mme
    qualify
        row_number() over (partition by month.patient_index order by month.month_number) = 1
),

-- A month without supply is a month of no dose: the supply ended, and nothing is unknown.
month_after as (
    select
        entry.*,
        month.end_date,
        month.month_number - entry.month_number as months_after,
        coalesce(month.mean_mme, 0) as mean_mme,
        month.lower_bound_days > 0 as has_unknown_dose,
        coalesce(month.mean_mme, 0) * case $dose_definition
            when 'on_therapy_days' then month.covered_days
            else $month_days
        end as dose_mme_days,
        case $dose_definition when 'on_therapy_days' then month.covered_days else $month_days end
            as counted_days
    from entry
    inner join trajectory.therapy_month as month
        on
            entry.patient_index = month.patient_index
            and month.month_number
            between entry.month_number and entry.month_number + $taper_window_count
),

pair_of_months as (
    select
        *,
        coalesce(lag(mean_mme) over months, baseline_mme) as previous_mme,
        coalesce(lag(has_unknown_dose) over months, false) or has_unknown_dose as is_unknown,
        coalesce(
            (dose_mme_days + lag(dose_mme_days) over months)
            / nullif(counted_days + lag(counted_days) over months, 0),
            0
        ) as two_months_mme
    from month_after
    window months as (partition by patient_index order by months_after)
),

found as (
    select
        patient_index,
        count(*) as month_count,
        max(end_date) as last_date,
        round(
            1
            - min(two_months_mme) filter (where months_after > 0 and not is_unknown)
            / max(baseline_mme),
            9
        ) as fall_share,
        round(
            max((previous_mme - mean_mme) / baseline_mme) filter (where not is_unknown)
            * 7
            / $month_days,
            9
        ) as fastest_week_share
    from pair_of_months
    group by all
),

-- A fall that a change of opioid explains is that change.
rotated as (
    select distinct entry.patient_index
    from entry
    inner join found using (patient_index)
    inner join trajectory.opioid_switch as rotation
        on
            entry.patient_index = rotation.patient_index
            and rotation.event = 'rotation'
            and rotation.switch_date
            between entry.entry_date - $rotation_days::integer and found.last_date
),

taper_patient as (
    select
        patient.patient_index,
        entry.entry_date,
        entry.baseline_mme,
        found.fall_share,
        found.fastest_week_share,
        found.fall_share >= $taper_min_fall and rotated.patient_index is null as is_tapered,
        is_tapered and found.fastest_week_share > $taper_fast_week_share as is_fast,
        case
            when entry.patient_index is null then 'no_stable_year'
            when found.month_count <= $taper_window_count then 'follow_up_too_short'
            when found.fall_share is null then 'dose_unknown'
        end as failed_requirement
    from clean.patient as patient
    left join entry using (patient_index)
    left join found using (patient_index)
    left join rotated using (patient_index)
)

from taper_patient
