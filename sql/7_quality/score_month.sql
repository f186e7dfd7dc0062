-- Pain scores by month: distribution, unknown ones and zeros.
--
-- Grain:  one row per source, scale and month
-- Key:    source, instrument, month_number
-- Units:  NRS points; months since January 1970 or, where dates are shifted, months of $month_days
--         days since the patient's first score
-- Scope:  cohort
-- Source: clean.pain_score
with

shifted_patient as (
    select
        patient_index,
        min(scored_at)::date as first_date
    from clean.pain_score
    where list_contains($shifted_sources, source)
    group by all
),

numbered as (
    select
        score.source,
        score.instrument,
        shifted_patient.first_date is not null as is_shifted,
        score.pain_nrs,
        case
            when shifted_patient.first_date is null
                then date_diff('month', date '1970-01-01', score.scored_at)
            else date_diff('day', shifted_patient.first_date, score.scored_at) // $month_days
        end as month_number
    from clean.pain_score as score
    left join shifted_patient on score.patient_index = shifted_patient.patient_index
),

score_month as (
    select
        source,
        instrument,
        is_shifted,
        month_number,
        count(*) as score_count,
        count(*) - count(pain_nrs) as unknown_count,
        count(*) filter (where pain_nrs = 0) as zero_count,
        quantile_cont(pain_nrs, 0.25) as lower_quartile_nrs,
        median(pain_nrs) as median_nrs,
        quantile_cont(pain_nrs, 0.75) as upper_quartile_nrs,
        avg(pain_nrs) as mean_nrs
    from numbered
    group by all
)

from score_month
