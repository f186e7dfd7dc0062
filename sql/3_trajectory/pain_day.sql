-- Pain of each patient on each scored day, by setting.
--
-- Grain:  one row per patient per day per setting
-- Key:    patient_index, score_date, setting
-- Units:  pain_nrs on the numeric rating scale, 0 to 10
-- Scope:  patient
-- Source: median per day before median per week, so that a burst of scores counts once; scores near
--         surgery speak of the surgery (design choices)
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

-- One row per masked day, however many operations mask it. The earliest tells since when the mask
-- is known: an operation reaches back, and what is read on day 90 must not know a later one.
masked_day as (
    select
        day.patient_index,
        day.score_date,
        min(surgery.event_date) as masked_by_date
    from score_day as day
    inner join trajectory.acute_event as surgery
        on
            day.patient_index = surgery.patient_index
            and surgery.kind = 'surgery'
            and day.score_date >= surgery.event_date - $surgery_before_days
            and day.score_date <= surgery.event_date + $surgery_after_days
    group by all
),

pain_day as (
    select
        day.*,
        masked.masked_by_date,
        masked.masked_by_date is not null as is_masked
    from score_day as day
    left join masked_day as masked
        on day.patient_index = masked.patient_index and day.score_date = masked.score_date
)

from pain_day
