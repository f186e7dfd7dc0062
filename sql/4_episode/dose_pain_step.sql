-- What pain did after each step of the dose, up or down.
--
-- Grain:  one row per patient and step of the dose that follows no other soon
-- Key:    patient_index, direction, step_date
-- Units:  pain in NRS points
-- Scope:  patient
-- Source: quadrants of dose and pain with a dead zone of half the smallest important difference
--         (Farrar 2001, Pain 94:149) or of the standard error, whichever is larger (design choice);
--         default escalations and tapers of trajectory.opioid_event
with

-- A taper and an escalation are seen again at each change of the dose on their way.
step as (
    select
        patient_index,
        case when event = 'escalation' then 'up' else 'down' end as direction,
        event_date as step_date
    from trajectory.opioid_event
    where event in ('escalation', 'taper') and definition = 'default'
    qualify
        coalesce(
            event_date - lag(event_date) over (
                partition by patient_index, event order by event_date
            ) >= $merge_days,
            true
        )
),

pain_week as (
    select
        step.patient_index,
        step.direction,
        step.step_date,
        day.score_date < step.step_date as is_before,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from step
    inner join trajectory.pain_day as day
        on
            step.patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
            and (
                day.score_date between step.step_date + $proximal_from_day
                and step.step_date + $proximal_to_day
                or day.score_date between step.step_date + $response_from_day
                and step.step_date + $response_to_day
            )
    group by all
),

pain as (
    select
        patient_index,
        direction,
        step_date,
        count(*) filter (where is_before) as before_weeks,
        count(*) filter (where not is_before) as after_weeks,
        round(
            avg(pain_nrs) filter (where not is_before) - avg(pain_nrs) filter (where is_before), 9
        ) as change_nrs
    from pain_week
    group by all
),

dose_pain_step as (
    select
        step.patient_index,
        step.direction,
        step.step_date,
        pain.change_nrs,
        greatest(
            $quadrant_min_nrs,
            $within_person_sd_nrs * sqrt(1 / pain.before_weeks + 1 / pain.after_weeks)
        ) as dead_zone_nrs,
        case
            when
                coalesce(least(pain.before_weeks, pain.after_weeks) < $min_scored_weeks, true)
                then 'too_few_scores'
            when pain.change_nrs > dead_zone_nrs then 'pain_up'
            when pain.change_nrs < -dead_zone_nrs then 'pain_down'
            else 'pain_same'
        end as pain_direction
    from step
    left join pain using (patient_index, direction, step_date)
)

from dose_pain_step
