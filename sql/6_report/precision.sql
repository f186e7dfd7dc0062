-- How small a change of pain can be seen, and where the change that was to be expected comes from.
--
-- Grain:  one row per kind of index date of enough patients
-- Key:    index_kind
-- Units:  episodes, rounded to multiples of the smallest published count; NRS points
-- Scope:  cohort
-- Source: episode.episode_profile, episode.expected_change; descriptive
with

-- A slope that is that of the settings is none of this cohort: its maintainers were too few.
judged as (
    select
        profile.index_kind,
        profile.patient_index,
        profile.distal_se_nrs,
        profile.response_se_nrs,
        profile.adjusted_change_se_nrs,
        case
            when profile.expected_by = 'matched_maintainers' then 'matched'
            when expected.regression_slope = round($rtm_slope, 9) then 'fixed_slope'
            when profile.expected_by is not null then 'cohort_slope'
        end as expected_by
    from episode.episode_profile as profile
    left join episode.expected_change as expected using (episode_id)
    where profile.excluded_reason is null and profile.not_classifiable_reason is null
),

precision as (
    select
        index_kind,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as judged_episodes,
        (
            round(count(*) filter (where expected_by = 'matched') / $min_cell_count)
            * $min_cell_count
        )::bigint as matched_episodes,
        (
            round(count(*) filter (where expected_by = 'cohort_slope') / $min_cell_count)
            * $min_cell_count
        )::bigint as cohort_slope_episodes,
        (
            round(count(*) filter (where expected_by = 'fixed_slope') / $min_cell_count)
            * $min_cell_count
        )::bigint as fixed_slope_episodes,
        round(median(distal_se_nrs), 2) as median_distal_se_nrs,
        round(median(response_se_nrs), 2) as median_response_se_nrs,
        round(median(adjusted_change_se_nrs), 2) as median_adjusted_change_se_nrs,
        round($strong_se * median(adjusted_change_se_nrs), 2) as median_detectable_change_nrs
    from judged
    group by index_kind
    having count(distinct patient_index) >= $min_cell_count
)

from precision
