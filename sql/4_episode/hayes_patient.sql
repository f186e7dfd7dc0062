-- Escalators and maintainers after Hayes 2020, paired by their pain before the index date.
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  cohort
-- Source: Hayes 2020 (Pain 161:979): mean dose of consecutive half years up by more than 20 %
--         against within 20 %, matched 1:1, pain in 90 days before, days 0-90 and 91-180. The paper
--         matched on a propensity score; here on source and pain before alone (departure)
with

-- The first escalation of a patient on long-term therapy.
escalator as (
    select
        event.patient_index,
        'escalator' as group_name,
        event.event_date as index_date,
        event.before_mme,
        event.after_mme
    from trajectory.opioid_event as event
    inner join trajectory.therapy_run as run
        on
            event.patient_index = run.patient_index
            and event.event_date between run.start_date and run.end_date
            and run.long_term_date < event.event_date
    where event.event = 'escalation' and event.definition = 'hayes_2020'
    qualify
        row_number() over (partition by event.patient_index order by event.event_date) = 1
),

-- Drawn fills of patients who never escalate; an escalation begins at a fill, too.
kept as (
    select
        stable.patient_index,
        stable.index_date
    from episode.stable_index as stable
    anti join trajectory.opioid_event as event
        on
            stable.patient_index = event.patient_index
            and event.event = 'escalation'
            and event.definition = 'hayes_2020'
    where stable.index_kind = 'sham_maintainer' and stable.failed_requirement is null
),

half_year as (
    select
        patient_index,
        index_date,
        unnest(['before', 'after']) as side,
        unnest([index_date - $hayes_window_days::integer, index_date]) as start_date,
        unnest([index_date - 1, index_date + $hayes_window_days::integer - 1]) as end_date
    from kept
),

overlap as (
    select
        half_year.patient_index,
        half_year.index_date,
        half_year.side,
        period.dose_mme,
        period.is_lower_bound,
        least(period.end_date, half_year.end_date)
        - greatest(period.start_date, half_year.start_date) + 1 as days
    from half_year
    inner join trajectory.dose_period as period
        on
            half_year.patient_index = period.patient_index
            and period.start_date <= half_year.end_date
            and period.end_date >= half_year.start_date
),

half_year_dose as (
    select
        patient_index,
        index_date,
        side,
        bool_or(is_lower_bound) as has_unknown_dose,
        sum(days) / $hayes_window_days as coverage,
        sum(dose_mme * days)
        / case $dose_definition when 'on_therapy_days' then sum(days) else $hayes_window_days end
            as mean_mme
    from overlap
    group by all
),

both_sides as (
    select
        patient_index,
        index_date,
        round(max(mean_mme) filter (where side = 'before'), 9) as before_mme,
        round(max(mean_mme) filter (where side = 'after'), 9) as after_mme
    from half_year_dose
    group by all
    having
        count(*) = 2
        and not bool_or(has_unknown_dose)
        and round(min(coverage), 9) >= $min_coverage
),

-- Which of a patient's dates is taken depends on nothing but the patient's name and the date.
maintainer as (
    select
        both_sides.patient_index,
        'maintainer' as group_name,
        both_sides.index_date,
        both_sides.before_mme,
        both_sides.after_mme
    from both_sides
    left join clean.patient as patient using (patient_index)
    where
        round(both_sides.after_mme / nullif(both_sides.before_mme, 0), 9)
        between 1 - $maintained_share and $hayes_min_ratio
    qualify
        row_number() over (
            partition by both_sides.patient_index
            order by md5(patient.patient_id || both_sides.index_date::varchar)
        ) = 1
),

grouped as (
    from escalator
    union all by name
    from maintainer
),

pain as (
    select
        grouped.patient_index,
        round(avg(day.pain_nrs) filter (where day.score_date < grouped.index_date), 9)
            as before_nrs,
        round(
            avg(day.pain_nrs) filter (
                where
                day.score_date
                between grouped.index_date and grouped.index_date + $published_pain_days::integer
            ),
            9
        ) as first_nrs,
        round(
            avg(day.pain_nrs) filter (
                where day.score_date > grouped.index_date + $published_pain_days::integer
            ),
            9
        ) as later_nrs
    from grouped
    inner join trajectory.pain_day as day
        on
            grouped.patient_index = day.patient_index
            and day.score_date
            between grouped.index_date - $published_pain_days::integer
            and grouped.index_date + 2 * $published_pain_days::integer
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
    group by all
),

judged as (
    select
        patient.patient_index,
        patient.patient_id,
        patient.source,
        grouped.* exclude (patient_index),
        pain.* exclude (patient_index),
        case
            when grouped.patient_index is null then 'neither_escalated_nor_maintained'
            when
                coalesce(
                    follow_up.last_date < grouped.index_date + 2 * $published_pain_days::integer,
                    true
                )
                then 'follow_up_too_short'
            when coalesce(pain.before_nrs + pain.first_nrs + pain.later_nrs, -1) < 0
                then 'too_few_scores'
        end as failed_requirement
    from clean.patient as patient
    left join grouped using (patient_index)
    left join pain using (patient_index)
    left join trajectory.follow_up as follow_up using (patient_index)
),

-- Pairs stand at the same place of the same cell of pain before, in an order that says nothing.
placed as (
    select
        *,
        floor(round(before_nrs / $published_pair_nrs, 9))::integer as pain_cell,
        row_number() over (
            partition by
                source,
                group_name,
                floor(round(before_nrs / $published_pair_nrs, 9)),
                failed_requirement is null
            order by md5(patient_id)
        ) as place
    from judged
),

paired as (
    select
        *,
        case
            when
                failed_requirement is null
                and count(*) over (
                    partition by source, pain_cell, place, failed_requirement is null
                ) = 2
                then source || ' ' || pain_cell || ' ' || place
        end as pair_name
    from placed
),

hayes_patient as (
    select
        patient_index,
        group_name,
        index_date,
        before_mme,
        after_mme,
        before_nrs,
        first_nrs,
        later_nrs,
        pair_name,
        case
            when failed_requirement is null and pair_name is null then 'not_matched'
            else failed_requirement
        end as failed_requirement
    from paired
)

from hayes_patient
