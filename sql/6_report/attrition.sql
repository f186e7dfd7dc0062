-- From delivered patients to patients with an episode that can be judged.
--
-- Grain:  one row per requirement, in order
-- Key:    step_number
-- Units:  patients
-- Scope:  cohort
-- Source: episode.cohort; RECORD items 6 and 13 (Benchimol 2015, PLoS Med 12:e1001885)
with

requirement as (
    select
        patient_index,
        unnest(range(1, 15)) as step_number,
        unnest([
            'Opioid prescription or administration',
            'A daily dose is known',
            'A pain score is known',
            'Pain scored outside hospital in enough weeks',
            'Long-term opioid therapy',
            'Dose escalation on long-term therapy',
            'Adult at the index date',
            'Look-back observed',
            'No cancer, palliative care, sickle cell disease, pregnancy or pump',
            'No long stay in hospital in any window',
            'No long-term care without supply in any window',
            'No medication for opioid use disorder at the index date',
            'On therapy and followed through the response window',
            'Pain scored and dose known in every window'
        ]) as requirement,
        unnest([
            has_opioid_record,
            has_known_dose,
            has_pain_score,
            has_outpatient_scores,
            has_long_term_therapy,
            has_escalation,
            is_adult,
            has_look_back,
            is_in_scope,
            has_no_long_stay,
            has_no_unseen_care,
            is_not_excluded,
            has_follow_up,
            is_classifiable
        ]) as is_met
    from episode.cohort
),

-- A patient leaves at the first requirement not met; each requirement is also counted on its own.
judged as (
    select
        step_number,
        requirement,
        is_met,
        coalesce(bool_and(is_met) over (
            partition by patient_index order by step_number
            rows between unbounded preceding and 1 preceding
        ), true) as was_remaining
    from requirement
),

attrition as (
    select
        step_number::integer as step_number,
        requirement,
        count(*) filter (where was_remaining) as entering_patients,
        count(*) filter (where was_remaining and not is_met) as leaving_patients,
        count(*) filter (where was_remaining and is_met) as remaining_patients,
        count(*) filter (where not is_met) as failing_patients
    from judged
    group by all
)

from attrition
