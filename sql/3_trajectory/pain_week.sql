-- Pain of each patient in each scored calendar week (Monday to Sunday), by setting.
--
-- Grain:  one row per patient per week per setting with at least one known, unmasked score
-- Key:    patient_index, week_start_date, setting
-- Units:  pain_nrs on the numeric rating scale, 0 to 10
-- Scope:  patient
-- Source: median per day, then median per week (design choice: weighs down bursts of visits)
with

pain_week as (
    select
        patient_index,
        setting,
        date_trunc('week', score_date)::date as week_start_date,
        median(pain_nrs) as pain_nrs,
        sum(score_count)::bigint as score_count
    from trajectory.pain_day
    where pain_nrs is not null and not is_masked
    group by all
)

from pain_week
