-- How often the rules flag an episode, by what begins it: escalations beside sham dates.
--
-- Grain:  one row per kind of index date of enough patients
-- Key:    index_kind
-- Units:  episodes, rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: label.tier; flagged is possible or higher. Rounded, because the tiers are counted exactly
with

flag_rate as (
    select
        index_kind,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as judged_episodes,
        (
            round(
                count(*) filter (where tier in ('possible', 'probable', 'strong_candidate'))
                / $min_cell_count
            ) * $min_cell_count
        )::bigint as flagged_episodes,
        (
            round(
                count(*) filter (where tier in ('probable', 'strong_candidate'))
                / $min_cell_count
            ) * $min_cell_count
        )::bigint as probable_episodes
    from label.tier
    where tier <> 'insufficient_data'
    group by all
    having count(distinct patient_index) >= $min_cell_count
)

from flag_rate
