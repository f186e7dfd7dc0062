-- What else was begun around a taper and may itself have changed pain.
--
-- Grain:  one row per episode with a taper
-- Key:    episode_id
-- Units:  counts
-- Scope:  patient
-- Source: pain improves with much that comes with a taper (Frank 2017, Ann Intern Med 167:181);
--         days around it and what counts as new are design choices
with

taper as (
    select
        episode_id,
        patient_index,
        first_cut_date - $co_intervention_days as from_date,
        last_cut_date + $co_intervention_days as to_date
    from episode.dechallenge
    where is_taper
),

-- Drugs that may ease pain. What treats withdrawal comes with a taper and is none of them, nor is
-- what only changes how opioids are metabolised.
drug_start as (
    select
        patient_index,
        exposure_class as treatment,
        start_date,
        max(end_date) over (
            partition by patient_index, exposure_class
            order by start_date, ingredient
            rows between unbounded preceding and 1 preceding
        ) as last_date
    from trajectory.exposure_period
    where
        exposure_class in (
            'acetaminophen', 'buprenorphine', 'cannabinoid', 'corticosteroid', 'gabapentinoid',
            'local_anaesthetic', 'local_corticosteroid', 'local_nsaid', 'low_dose_naltrexone',
            'methadone', 'muscle_relaxant', 'nmda_antagonist', 'nsaid', 'snri', 'tca', 'triptan'
        )
),

therapy_start as (
    select
        patient_index,
        coded_date as start_date,
        lag(coded_date) over (partition by patient_index order by coded_date) as last_date
    from trajectory.concept_day
    where concept = 'physical_therapy'
),

new_drug as (
    select
        taper.episode_id,
        count(distinct drug_start.treatment) as new_drug_count
    from taper
    inner join drug_start
        on
            taper.patient_index = drug_start.patient_index
            and drug_start.start_date between taper.from_date and taper.to_date
    where coalesce(drug_start.start_date - drug_start.last_date > $new_treatment_days, true)
    group by all
),

new_therapy as (
    select
        taper.episode_id,
        count(*) as new_therapy_count
    from taper
    inner join therapy_start
        on
            taper.patient_index = therapy_start.patient_index
            and therapy_start.start_date between taper.from_date and taper.to_date
    where coalesce(therapy_start.start_date - therapy_start.last_date > $new_treatment_days, true)
    group by all
),

operated as (
    select
        taper.episode_id,
        count(distinct event.event_date) as procedure_count
    from taper
    inner join trajectory.acute_event as event
        on
            taper.patient_index = event.patient_index
            and event.kind in ('surgery', 'injection')
            and event.event_date between taper.from_date and taper.to_date
    group by all
),

co_intervention as (
    select
        taper.episode_id,
        taper.patient_index,
        case when feed.has_adjuvants then coalesce(new_drug.new_drug_count, 0) end
            as new_drug_count,
        case when feed.has_procedures then coalesce(new_therapy.new_therapy_count, 0) end
            as new_therapy_count,
        case when feed.has_procedures then coalesce(operated.procedure_count, 0) end
            as procedure_count
    from taper
    left join episode.delivered_feed as feed using (episode_id)
    left join new_drug using (episode_id)
    left join new_therapy using (episode_id)
    left join operated using (episode_id)
)

from co_intervention
