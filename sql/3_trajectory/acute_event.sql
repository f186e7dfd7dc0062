-- What can hurt or change scores for a while: injuries, operations and the like, by day.
--
-- Grain:  one row per patient, day and kind
-- Key:    patient_index, event_date, kind
-- Units:  dates
-- Scope:  patient
-- Source: concepts of reference.clinical_concept; visits to an emergency department
with

acute as (
    select
        patient_index,
        coded_date as event_date,
        case concept
            when 'active_cancer' then 'cancer'
            when 'inflammatory_flare' then 'flare'
            else concept
        end as kind
    from trajectory.concept_day
    where
        concept in (
            'injury', 'surgery', 'injection', 'infection', 'inflammatory_flare', 'active_cancer'
        )
    union
    select
        patient_index,
        start_date as event_date,
        'emergency_visit' as kind
    from clean.encounter
    where setting = 'emergency'
),

-- Codes are given again at every visit of the same injury: how long ago the last one was tells a
-- new one.
acute_event as (
    select
        patient_index,
        event_date,
        kind,
        lag(event_date) over (partition by patient_index, kind order by event_date)
            as previous_date
    from acute
)

from acute_event
