-- Pain scores by month: distribution, unknown ones and zeros, each scale in its own points.
--
-- Grain:  one row per source, scale and month
-- Key:    source, instrument, month_number
-- Units:  points of the scale; months since January 1970 or, where dates are shifted, months of
--         $month_days days since the patient's first score
-- Scope:  cohort
-- Source: trajectory.pain_reading, whether or not the study counts the score
with

-- Said by the study, or plain from dates in a century to come.
shifted as (
    select distinct source
    from quality.date_shift
    where is_shifted
),

shifted_patient as (
    select
        patient_index,
        min(scored_at)::date as first_date
    from trajectory.pain_reading
    where source in (select source from shifted)
    group by all
),

numbered as (
    select
        score.source,
        score.instrument,
        shifted_patient.first_date is not null as is_shifted,
        score.scale_score,
        case
            when shifted_patient.first_date is null
                then date_diff('month', date '1970-01-01', score.scored_at)
            else date_diff('day', shifted_patient.first_date, score.scored_at) // $month_days
        end as month_number
    from trajectory.pain_reading as score
    left join shifted_patient on score.patient_index = shifted_patient.patient_index
),

score_month as (
    select
        source,
        instrument,
        is_shifted,
        month_number,
        count(*) as score_count,
        count(*) - count(scale_score) as unknown_count,
        count(*) filter (where scale_score = 0) as zero_count,
        quantile_cont(scale_score, 0.25) as lower_quartile_score,
        median(scale_score) as median_score,
        quantile_cont(scale_score, 0.75) as upper_quartile_score,
        avg(scale_score) as mean_score
    from numbered
    group by all
)

from score_month
