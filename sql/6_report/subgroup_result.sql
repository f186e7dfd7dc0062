-- Candidates by dose band and by what was known before the episode began.
--
-- Grain:  one row per kind of index date, covariate and category with enough patients
-- Key:    index_kind, covariate, category
-- Units:  episodes and patients, rounded to the nearest multiple of the smallest published count
-- Scope:  cohort
-- Source: episode.subgroup, label.tier; descriptive
with

subgroup_result as (
    select
        tier.index_kind,
        covariate.covariate,
        covariate.category,
        (round(count(distinct tier.patient_index) / $min_cell_count) * $min_cell_count)::bigint
            as patient_count,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as episode_count,
        (
            round(
                count(*) filter (where tier.tier <> 'insufficient_data') / $min_cell_count
            ) * $min_cell_count
        )::bigint as judged_count,
        (
            round(count(*) filter (where tier.tier = 'possible') / $min_cell_count)
            * $min_cell_count
        )::bigint as possible_count,
        (
            round(
                count(*) filter (where tier.tier in ('strong_candidate', 'probable'))
                / $min_cell_count
            ) * $min_cell_count
        )::bigint as flagged_count,
        -- A mean is of enough patients, or it is not there.
        case
            when
                count(distinct tier.patient_index) filter (
                    where
                    tier.tier <> 'insufficient_data' and profile.adjusted_change_nrs is not null
                ) >= $min_cell_count
                then
                    round(
                        avg(profile.adjusted_change_nrs) filter (
                            where tier.tier <> 'insufficient_data'
                        ),
                        2
                    )
        end as mean_adjusted_change_nrs
    from episode.subgroup as covariate
    inner join label.tier as tier using (episode_id)
    left join episode.episode_profile as profile using (episode_id)
    group by all
    having count(distinct tier.patient_index) >= $min_cell_count
)

from subgroup_result
