-- How many rows are worth a look, by flag.
--
-- Grain:  one row per flag that stands at enough patients to be published
-- Key:    flag
-- Units:  records and patients, rounded to the nearest multiple of the smallest published count
-- Scope:  cohort
-- Source: trajectory.record_flag
with

record_flag_count as (
    select
        flag,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as record_count,
        (round(count(distinct patient_index) / $min_cell_count) * $min_cell_count)::bigint
            as patient_count
    from trajectory.record_flag
    group by all
    having count(distinct patient_index) >= $min_cell_count
)

from record_flag_count
