-- Pain of each patient on each scored day, by setting.
--
-- Grain:  one row per patient per day per setting
-- Key:    patient_index, score_date, setting
-- Units:  pain_nrs on the numeric rating scale, 0 to 10
-- Scope:  patient
-- Source: median per day before median per week, so that a burst of scores counts once; scores near
--         surgery speak of the surgery, scores in hospital of the stay (design choices)
with

-- Scales and recall types are never mixed: a score after treatment answers another question.
counted_score as (
    select
        reading.patient_index,
        reading.setting,
        reading.pain_nrs,
        reading.scored_at::date as score_date
    from trajectory.pain_reading as reading
    where reading.is_counted
),

score_day as (
    select
        patient_index,
        score_date,
        setting,
        median(pain_nrs) as pain_nrs,
        count(pain_nrs) as score_count,
        count(*) - count(pain_nrs) as unknown_count
    from counted_score
    group by all
),

-- A score of unknown setting speaks of the stay or the emergency that it falls in.
elsewhere as (
    select
        patient_index,
        start_date,
        end_date
    from trajectory.inpatient_stay
    where setting = 'inpatient'
    union all
    select
        patient_index,
        event_date as start_date,
        event_date as end_date
    from trajectory.acute_event
    where kind = 'emergency_visit'
),

masking as (
    select
        day.patient_index,
        day.score_date,
        day.setting,
        surgery.event_date as masked_by_date
    from score_day as day
    inner join trajectory.acute_event as surgery
        on
            day.patient_index = surgery.patient_index
            and surgery.kind = 'surgery'
            and day.score_date >= surgery.event_date - $surgery_before_days
            and day.score_date <= surgery.event_date + $surgery_after_days
    union all
    select
        day.patient_index,
        day.score_date,
        day.setting,
        elsewhere.start_date as masked_by_date
    from score_day as day
    inner join elsewhere
        on
            day.patient_index = elsewhere.patient_index
            and day.setting = 'unknown'
            and day.score_date between elsewhere.start_date and elsewhere.end_date
),

-- One row per masked day, however much masks it. The earliest tells since when the mask is known:
-- an operation reaches back, and what is read on day 90 must not know a later one.
masked_day as (
    select
        patient_index,
        score_date,
        setting,
        min(masked_by_date) as masked_by_date
    from masking
    group by all
),

pain_day as (
    select
        day.*,
        masked.masked_by_date,
        masked.masked_by_date is not null as is_masked
    from score_day as day
    left join masked_day as masked using (patient_index, score_date, setting)
)

from pain_day
