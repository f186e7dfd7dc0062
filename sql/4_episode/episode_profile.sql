-- Each episode in one row, with the change of pain that was to be expected and the one beyond it.
--
-- Grain:  one row per episode
-- Key:    episode_id
-- Units:  doses in MME per day, pain and changes in NRS points
-- Scope:  cohort
-- Source: episode.expected_change
with

episode_profile as (
    select
        change.*,
        expected.expected_change_nrs,
        expected.expected_change_se_nrs,
        expected.expected_by,
        coalesce(expected.matched_count, 0) as matched_count,
        round(change.distal_change_nrs - expected.expected_change_nrs, 9) as adjusted_change_nrs,
        sqrt(change.change_se_nrs ** 2 + coalesce(expected.expected_change_se_nrs, 0) ** 2)
            as adjusted_change_se_nrs
    from episode.episode_change as change
    left join episode.expected_change as expected using (episode_id)
)

from episode_profile
