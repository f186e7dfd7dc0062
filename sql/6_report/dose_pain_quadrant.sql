-- Steps of the dose by what pain did after them.
--
-- Grain:  one row per direction of the dose and of pain that enough patients share
-- Key:    direction, pain_direction
-- Units:  steps and patients, rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: episode.dose_pain_step
with

dose_pain_quadrant as (
    select
        direction,
        pain_direction,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as step_count,
        (round(count(distinct patient_index) / $min_cell_count) * $min_cell_count)::bigint
            as patient_count
    from episode.dose_pain_step
    group by all
    having count(distinct patient_index) >= $min_cell_count
)

from dose_pain_quadrant
