-- Dose and pain around the first change of treatment that hyperalgesia may answer to.
--
-- Grain:  one row per episode that is not excluded and kind of treatment begun after its response
-- Key:    episode_id, treatment
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: Guichard 2022 (Clin J Pain 38: rotation, antagonists of NMDA and other adjuvants);
--         windows are design choices, that before as long as the proximal baseline
with

-- Buprenorphine has no MME to compare, so it need not replace anything. A change to methadone does.
begun as (
    select
        patient_index,
        case
            when exposure_class in ('buprenorphine', 'nmda_antagonist') then 'opioid_rotation'
            else 'other_treatment'
        end as treatment,
        start_date
    from trajectory.exposure_period
    where
        exposure_class in (
            'buprenorphine', 'nmda_antagonist', 'gabapentinoid', 'snri', 'tca',
            'low_dose_naltrexone'
        )
    qualify
        coalesce(
            start_date - max(end_date) over (
                partition by patient_index, exposure_class
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ) > $new_drug_days,
            true
        )
    union all
    select
        patient_index,
        'opioid_rotation' as treatment,
        switch_date as start_date
    from trajectory.opioid_switch
    where event = 'rotation' and contains(ingredient_after, 'methadone')
    union all
    select
        patient_index,
        'other_treatment' as treatment,
        coded_date as start_date
    from (
        select
            patient_index,
            coded_date,
            lag(coded_date) over (partition by patient_index order by coded_date) as previous_date
        from trajectory.concept_day
        where concept = 'physical_therapy'
    ) as therapy
    where coalesce(coded_date - previous_date > $new_drug_days, true)
),

first_start as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.follow_up_end_date,
        begun.treatment,
        min(begun.start_date) as start_date
    from episode.episode as episode
    inner join begun
        on
            episode.patient_index = begun.patient_index
            and begun.start_date between episode.index_date + $confirmation_from_day
            and episode.index_date + $confirmation_to_day
    where episode.excluded_reason is null
    group by all
),

part_day as (
    select
        unnest(['before', 'soon', 'late', 'switched']) as part,
        unnest([
            $proximal_from_day, $treated_from_day, $treated_to_day + 1, $switched_from_day
        ])::integer as from_day,
        unnest([
            $proximal_to_day, $treated_to_day, $treated_late_day, $treated_late_day
        ])::integer as to_day
),

pain_week as (
    select
        first_start.episode_id,
        first_start.treatment,
        part_day.part,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from first_start
    cross join part_day
    inner join trajectory.pain_day as day
        on
            first_start.patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
            and day.score_date between first_start.start_date + part_day.from_day
            and first_start.start_date + part_day.to_day
    group by all
),

pain as (
    select
        episode_id,
        treatment,
        round(avg(pain_nrs) filter (where part = 'before'), 9) as before_nrs,
        round(avg(pain_nrs) filter (where part = 'soon'), 9) as soon_nrs,
        round(avg(pain_nrs) filter (where part = 'late'), 9) as late_nrs,
        round(avg(pain_nrs) filter (where part = 'switched'), 9) as switched_nrs,
        count(*) filter (where part = 'before') as before_week_count,
        count(*) filter (where part = 'soon') as soon_week_count,
        count(*) filter (where part = 'late') as late_week_count,
        count(*) filter (where part = 'switched') as switched_week_count
    from pain_week
    group by all
),

-- Days without supply are days of no dose, here; days of unknown dose leave a mean unknown.
supply as (
    select
        first_start.episode_id,
        first_start.treatment,
        sum(period.dose_mme * (
            least(period.end_date, first_start.start_date - 1)
            - greatest(period.start_date, first_start.start_date + $proximal_from_day) + 1
        )) filter (where period.start_date < first_start.start_date)
        / -$proximal_from_day as before_mme,
        sum(period.dose_mme * (
            least(period.end_date, first_start.start_date + $treated_late_day)
            - greatest(period.start_date, first_start.start_date + $switched_from_day) + 1
        )) filter (where period.end_date >= first_start.start_date + $switched_from_day)
        / ($treated_late_day - $switched_from_day + 1) as after_mme,
        bool_or(period.is_lower_bound) as has_unknown_dose
    from first_start
    inner join trajectory.dose_period as period
        on
            first_start.patient_index = period.patient_index
            and (
                period.end_date >= first_start.start_date + $proximal_from_day
                and period.start_date < first_start.start_date
                or period.end_date >= first_start.start_date + $switched_from_day
                and period.start_date <= first_start.start_date + $treated_late_day
            )
    group by all
),

treatment_response as (
    select
        first_start.episode_id,
        first_start.patient_index,
        first_start.treatment,
        first_start.start_date,
        first_start.follow_up_end_date - first_start.start_date as followed_days,
        case when not supply.has_unknown_dose then round(supply.before_mme, 9) end as before_mme,
        case
            when not supply.has_unknown_dose then round(coalesce(supply.after_mme, 0), 9)
        end as after_mme,
        pain.before_nrs,
        pain.soon_nrs,
        pain.late_nrs,
        pain.switched_nrs,
        coalesce(pain.before_week_count, 0) as before_week_count,
        coalesce(pain.soon_week_count, 0) as soon_week_count,
        coalesce(pain.late_week_count, 0) as late_week_count,
        coalesce(pain.switched_week_count, 0) as switched_week_count
    from first_start
    left join pain using (episode_id, treatment)
    left join supply using (episode_id, treatment)
)

from treatment_response
