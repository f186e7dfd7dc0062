-- How dose follows pain and pain follows dose, over all patients.
--
-- Grain:  one row per direction with enough patients
-- Key:    direction
-- Units:  doublings of the dose per NRS point, or NRS points per doubling; patients rounded
-- Scope:  cohort
-- Source: episode.dose_pain_lag; slope within patients, standard error robust to whatever goes on
--         within one
with

pooled as (
    select
        *,
        sum(sum_of_products) over (partition by direction)
        / sum(sum_of_squares) over (partition by direction) as pooled_slope
    from episode.dose_pain_lag
),

dose_pain_lag as (
    select
        direction,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as patient_count,
        round(max(pooled_slope), 4) as pooled_slope,
        round(
            sqrt(sum((sum_of_products - pooled_slope * sum_of_squares) ** 2))
            / sum(sum_of_squares),
            4
        ) as standard_error,
        round(quantile_cont(slope, 0.25), 2) as lower_quartile_slope,
        round(quantile_cont(slope, 0.5), 2) as median_slope,
        round(quantile_cont(slope, 0.75), 2) as upper_quartile_slope
    from pooled
    group by all
    having count(*) >= $min_cell_count
)

from dose_pain_lag
