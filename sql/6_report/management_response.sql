-- What was done after candidate episodes, with pain before and after beside matched episodes.
--
-- Grain:  one row per kind of index date and response of enough patients
-- Key:    index_kind, response
-- Units:  NRS points; counts rounded to the nearest multiple of the smallest published count
-- Scope:  cohort
-- Source: episode.management_response, episode.response_comparison; descriptive, never causal
with

responded as (
    select
        profile.index_kind,
        response.episode_id,
        response.patient_index,
        response.response,
        response.before_nrs,
        response.after_nrs,
        response.change_nrs,
        comparison.matched_change_nrs
    from episode.management_response as response
    inner join episode.episode_profile as profile using (episode_id)
    left join episode.response_comparison as comparison using (episode_id, response)
),

counted as (
    select
        index_kind,
        response,
        count(*) as episodes,
        count(distinct patient_index) as patients,
        count(distinct patient_index) filter (where change_nrs is not null) as scored_patients,
        count(distinct patient_index) filter (where matched_change_nrs is not null)
            as matched_patients,
        avg(before_nrs) filter (where change_nrs is not null) as before_nrs,
        avg(after_nrs) filter (where change_nrs is not null) as after_nrs,
        avg(change_nrs) filter (where matched_change_nrs is not null) as change_nrs,
        avg(matched_change_nrs) as matched_change_nrs
    from responded
    group by all
    having count(distinct patient_index) >= $min_cell_count
),

-- A mean is of enough patients, or it is not there.
management_response as (
    select
        index_kind,
        response,
        (round(patients / $min_cell_count) * $min_cell_count)::bigint as patient_count,
        (round(episodes / $min_cell_count) * $min_cell_count)::bigint as episode_count,
        (round(scored_patients / $min_cell_count) * $min_cell_count)::bigint as scored_count,
        (round(matched_patients / $min_cell_count) * $min_cell_count)::bigint as matched_count,
        case when scored_patients >= $min_cell_count then round(before_nrs, 2) end as before_nrs,
        case when scored_patients >= $min_cell_count then round(after_nrs, 2) end as after_nrs,
        case when matched_patients >= $min_cell_count then round(change_nrs, 2) end as change_nrs,
        case when matched_patients >= $min_cell_count then round(matched_change_nrs, 2) end
            as matched_change_nrs
    from counted
)

from management_response
