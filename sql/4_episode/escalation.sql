-- Dose increases of each patient, each with the first requirement of an escalation that it fails.
--
-- Grain:  one row per patient per day on which the dose rose
-- Key:    patient_index, increase_date
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: relative rise as in Hayes 2020 (Pain 161:979); absolute rise, coverage and
--         sustained rise are design choices
with

-- The therapy run that the increase falls in tells whether therapy was long-term before it.
step_in_run as (
    select
        step.*,
        run.start_date as run_start_date,
        run.end_date as run_end_date,
        run.long_term_date
    from episode.dose_step as step
    left join trajectory.therapy_run as run
        on
            step.patient_index = run.patient_index
            and step.increase_date between run.start_date and run.end_date
),

-- Rounded, so that a rise of exactly 20 % or 5 MME is not lost in the last binary digit.
measured as (
    select
        *,
        round(mean_after_mme / nullif(mean_before_mme, 0), 9) as dose_ratio,
        round(mean_sustained_mme / nullif(mean_before_mme, 0), 9) as sustained_ratio,
        round(mean_after_mme - mean_before_mme, 9) as rise_mme,
        coalesce(long_term_date < increase_date, false) as is_long_term
    from step_in_run
),

-- Only rises that are large enough are worth a look at what was dispensed around them.
large_enough as (
    select
        patient_index,
        increase_date,
        mean_before_mme
    from measured
    where dose_ratio >= $escalation_min_ratio and rise_mme >= $escalation_min_mme
),

-- What the dose is on the first day that an acute course can no longer cover; over a short gap the
-- last supply counts.
later_dose as (
    select
        rise.patient_index,
        rise.increase_date,
        rise.mean_before_mme,
        arg_max(period.dose_mme, period.start_date) as dose_then_mme
    from large_enough as rise
    inner join trajectory.dose_period as period
        on
            rise.patient_index = period.patient_index
            and period.start_date between rise.increase_date
            and rise.increase_date + $acute_course_days
    group by all
),

-- A short immediate-release course treats something acute if therapy beside it is unchanged: the
-- dose is back when it is over. Therapy that is itself dispensed in short supplies stays raised.
acute_course as (
    select
        later_dose.patient_index,
        later_dose.increase_date,
        bool_or(
            coalesce(record.release <> 'extended', true)
            and record.end_date - record.start_date + 1 <= $acute_course_days
        )
        and bool_and(later_dose.dose_then_mme <= round(1.1 * later_dose.mean_before_mme, 9))
            as is_acute_course
    from later_dose
    inner join trajectory.record_dose as record
        on
            later_dose.patient_index = record.patient_index
            and later_dose.increase_date = record.start_date
            and record.is_in_timeline
    group by all
),

judged as (
    select
        measured.*,
        rotation.switch_date is not null as is_rotation,
        coalesce(acute_course.is_acute_course, false) as is_acute_course
    from measured
    left join trajectory.opioid_switch as rotation
        on
            rotation.event = 'rotation'
            and measured.patient_index = rotation.patient_index
            and measured.increase_date = rotation.switch_date
    left join acute_course
        on
            measured.patient_index = acute_course.patient_index
            and measured.increase_date = acute_course.increase_date
),

escalation as (
    select
        * exclude (is_rotation, is_acute_course),
        case
            when before_lower_bound_days > 0 or after_lower_bound_days > 0 then 'dose_unknown'
            when before_coverage < $min_coverage or after_coverage < $min_coverage
                then 'supply_not_covered'
            when coalesce(dose_ratio < $escalation_min_ratio, true) then 'ratio_too_small'
            when rise_mme < $escalation_min_mme then 'rise_too_small'
            when sustained_ratio < $escalation_min_ratio then 'not_sustained'
            when is_rotation then 'rotation'
            when is_acute_course then 'acute_course'
            when not is_long_term then 'not_long_term'
        end as failed_requirement
    from judged
)

from escalation
