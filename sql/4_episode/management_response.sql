-- What was done after an episode, and pain before and after it.
--
-- Grain:  one row per episode that can be judged and response begun in its confirmation window
-- Key:    episode_id, response
-- Units:  pain in NRS points
-- Scope:  patient
-- Source: how clinicians say they manage hyperalgesia (survey of practitioners 2020, Clin J Pain,
--         PMID 32028382); tapers as in Fenton 2019; withdrawal pain is left out after Rieb 2016
--         (Pain, PMC5113230). Descriptive: no row says that a response works
with

judged as (
    select
        episode_id,
        patient_index,
        index_date,
        follow_up_end_date
    from episode.episode_profile
    where excluded_reason is null and not_classifiable_reason is null
),

-- Only what is new: nothing of its kind before it for long enough. Of the antagonists only
-- naltrexone treats pain; what reverses an overdose or acts on the gut alone does not.
begun_drug as (
    select
        patient_index,
        case
            when exposure_class = 'full_dose_naltrexone' then 'antagonist'
            when exposure_class = 'naltrexone' then 'naltrexone_of_unknown_dose'
            when exposure_class in ('snri', 'tca', 'ssri', 'other_antidepressant')
                then 'antidepressant'
            else exposure_class
        end as response,
        start_date as event_date
    from trajectory.exposure_period
    where
        exposure_class in (
            'full_dose_naltrexone', 'naltrexone', 'low_dose_naltrexone', 'gabapentinoid', 'snri',
            'tca', 'ssri', 'other_antidepressant', 'nsaid', 'acetaminophen'
        )
    qualify
        coalesce(
            start_date - max(end_date) over (
                partition by patient_index, response
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ) > $new_drug_days,
            true
        )
),

begun_care as (
    select
        patient_index,
        concept as response,
        coded_date as event_date
    from trajectory.concept_day
    where concept in ('injection', 'physical_therapy')
    qualify
        coalesce(
            coded_date - lag(coded_date) over (
                partition by patient_index, concept order by coded_date
            ) > $new_drug_days,
            true
        )
),

taper as (
    select
        patient_index,
        event_date
    from trajectory.opioid_event
    where event = 'taper' and definition = 'default'
),

-- A switch is two things close together: something that is no opioid is begun, and less opioid.
switch as (
    select
        taper.patient_index,
        'non_opioid_switch' as response,
        greatest(taper.event_date, begun.event_date) as event_date
    from taper
    inner join begun_drug as begun
        on
            taper.patient_index = begun.patient_index
            and begun.response in ('nsaid', 'acetaminophen', 'gabapentinoid', 'antidepressant')
            and abs(taper.event_date - begun.event_date) <= $switch_days
),

happened as (
    select
        patient_index,
        response,
        event_date
    from begun_drug
    where response not in ('nsaid', 'acetaminophen')
    union all
    from begun_care
    union all
    from switch
    union all
    select
        patient_index,
        'taper' as response,
        event_date
    from taper
    union all
    select
        patient_index,
        'rotation' as response,
        switch_date as event_date
    from trajectory.opioid_switch
    where event = 'rotation'
),

responded as (
    select
        judged.episode_id,
        judged.patient_index,
        judged.index_date,
        happened.response,
        min(happened.event_date) as response_date
    from judged
    inner join happened
        on
            judged.patient_index = happened.patient_index
            and happened.event_date between judged.index_date + $confirmation_from_day
            and judged.index_date + $confirmation_to_day
            and happened.event_date <= judged.follow_up_end_date
    group by all
),

pain_week as (
    select
        responded.episode_id,
        responded.response,
        day.score_date < responded.response_date as is_before,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from responded
    inner join trajectory.pain_day as day
        on
            responded.patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
            and (
                day.score_date between responded.response_date + $proximal_from_day
                and responded.response_date + $proximal_to_day
                or day.score_date between responded.response_date + $withdrawal_days
                and responded.response_date + $dechallenge_to_days
            )
    group by all
),

pain as (
    select
        episode_id,
        response,
        round(avg(pain_nrs) filter (where is_before), 9) as before_nrs,
        round(avg(pain_nrs) filter (where not is_before), 9) as after_nrs,
        count(*) filter (where is_before) as before_week_count,
        count(*) filter (where not is_before) as after_week_count
    from pain_week
    group by all
),

management_response as (
    select
        responded.episode_id,
        responded.patient_index,
        responded.response,
        responded.response_date,
        responded.response_date - responded.index_date as response_day,
        pain.before_nrs,
        pain.after_nrs,
        case
            when
                pain.before_week_count >= $min_scored_weeks
                and pain.after_week_count >= $min_scored_weeks
                then round(pain.after_nrs - pain.before_nrs, 9)
        end as change_nrs
    from responded
    left join pain using (episode_id, response)
)

from management_response
