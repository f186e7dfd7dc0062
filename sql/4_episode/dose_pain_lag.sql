-- How dose follows pain and pain follows dose, from month to month, in each patient.
--
-- Grain:  one row per patient and direction with enough pairs of months that differ
-- Key:    patient_index, direction
-- Units:  doublings of the dose per NRS point, or NRS points per doubling of the dose
-- Scope:  patient
-- Source: lagged regression within a patient, which is association and no cause: pain that rose by
--         chance falls again, and is what made the dose rise
with

lagged as (
    select
        patient_index,
        pain_nrs,
        log2_mme - lag(log2_mme) over months as dose_change,
        lead(log2_mme) over months - log2_mme as next_dose_change,
        lead(pain_nrs) over months - pain_nrs as next_pain_change,
        coalesce(lead(month_number) over months = month_number + 1, false) as is_next_known,
        coalesce(lag(month_number) over months = month_number - 1, false) as is_previous_known
    from episode.dose_pain_month
    window months as (partition by patient_index order by month_number)
),

-- A dose that rises this month and the pain of the next; the pain of this month and the dose then.
pair as (
    select
        patient_index,
        'pain_then_dose' as direction,
        pain_nrs as cause,
        next_dose_change as result
    from lagged
    where is_next_known
    union all
    select
        patient_index,
        'dose_then_pain' as direction,
        dose_change as cause,
        next_pain_change as result
    from lagged
    where is_next_known and is_previous_known
),

-- Sums of squares and products, so that patients can be pooled without their levels.
dose_pain_lag as (
    select
        patient_index,
        direction,
        count(*)::integer as pair_count,
        round(var_pop(cause) * count(*), 9) as sum_of_squares,
        round(covar_pop(result, cause) * count(*), 9) as sum_of_products,
        round(regr_slope(result, cause), 9) as slope
    from pair
    where cause is not null and result is not null
    group by all
    having count(*) >= $lag_min_pairs and var_pop(cause) > 1e-9
)

from dose_pain_lag
