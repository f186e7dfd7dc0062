-- Patients with a stable dose and what became of dose and pain in two years, after Morasco 2020.
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: Morasco 2020 (Pain 161:1332): a rise of at least 15 % over a stable baseline within two
--         years; improvement of 30 % after Farrar 2001 (Pain 94:149). Pain in 90 days before and
--         days 0-90 stands in for the paper's visits (departure)
with

entry as (
    select
        patient_index,
        start_date as entry_date,
        quarter_mme as baseline_mme
    from trajectory.therapy_month
    where is_long_term and is_quarter_stable
    qualify row_number() over (partition by patient_index order by month_number) = 1
),

escalation as (
    select
        entry.patient_index,
        event.event_date as escalation_date,
        round(event.after_mme / nullif(event.before_mme, 0) - 1, 9) as rise_share
    from entry
    inner join trajectory.opioid_event as event
        on
            entry.patient_index = event.patient_index
            and event.event = 'escalation'
            and event.definition = 'morasco_2020'
            and event.event_date
            between entry.entry_date and entry.entry_date + $morasco_days::integer - 1
    qualify row_number() over (partition by entry.patient_index order by event.event_date) = 1
),

pain as (
    select
        escalation.patient_index,
        round(avg(day.pain_nrs) filter (where day.score_date < escalation.escalation_date), 9)
            as before_nrs,
        round(avg(day.pain_nrs) filter (where day.score_date >= escalation.escalation_date), 9)
            as after_nrs
    from escalation
    inner join trajectory.pain_day as day
        on
            escalation.patient_index = day.patient_index
            and day.score_date
            between escalation.escalation_date - $published_pain_days::integer
            and escalation.escalation_date + $published_pain_days::integer
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
    group by all
),

morasco_patient as (
    select
        patient.patient_index,
        entry.entry_date,
        entry.baseline_mme,
        escalation.escalation_date,
        escalation.rise_share,
        pain.before_nrs,
        pain.after_nrs,
        case
            when pain.before_nrs > 0
                then
                    round((pain.before_nrs - pain.after_nrs) / pain.before_nrs, 9)
                    >= $published_improvement_share
        end as is_improved,
        case
            when entry.patient_index is null then 'no_stable_dose'
            when
                coalesce(
                    follow_up.last_date < entry.entry_date + $morasco_days::integer - 1, true
                )
                then 'follow_up_too_short'
        end as failed_requirement
    from clean.patient as patient
    left join entry using (patient_index)
    left join escalation using (patient_index)
    left join pain using (patient_index)
    left join trajectory.follow_up as follow_up using (patient_index)
)

from morasco_patient
