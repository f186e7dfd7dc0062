-- Each episode in one row: doses, pain, the change that was to be expected and the one beyond it.
--
-- Grain:  one row per episode
-- Key:    episode_id
-- Units:  doses in MME per day, pain and changes in NRS points
-- Scope:  patient
-- Source: rtm_slope is the regression fall-back for regression to the mean; grades and windows are
--         design choices
with

pain as (
    select
        episode_id,
        max(mean_nrs) filter (where window_name = 'B1') as distal_nrs,
        max(mean_nrs) filter (where window_name = 'B0') as proximal_nrs,
        max(mean_nrs) filter (where window_name = 'E') as early_nrs,
        max(mean_nrs) filter (where window_name = 'R') as response_nrs,
        max(mean_nrs) filter (where window_name = 'R2') as late_nrs,
        max(standard_error_nrs) filter (where window_name = 'B1') as distal_se_nrs,
        max(standard_error_nrs) filter (where window_name = 'B0') as proximal_se_nrs,
        max(standard_error_nrs) filter (where window_name = 'E') as early_se_nrs,
        max(standard_error_nrs) filter (where window_name = 'R') as response_se_nrs,
        max(standard_error_nrs) filter (where window_name = 'R2') as late_se_nrs,
        max(weekly_sd_nrs) filter (where window_name = 'B1') as distal_sd_nrs,
        max(weekly_sd_nrs) filter (where window_name = 'R') as response_sd_nrs,
        max(score_count) filter (where window_name = 'E') as early_score_count,
        max(scored_week_count) filter (where window_name = 'B1') as distal_week_count,
        max(scored_week_count) filter (where window_name = 'B0') as proximal_week_count,
        max(scored_week_count) filter (where window_name = 'R') as response_week_count,
        max(scored_week_count) filter (where window_name = 'R2') as late_week_count
    from episode.window_pain
    group by all
),

dose as (
    select
        episode_id,
        max(mean_mme) filter (where window_name = 'B1') as distal_mme,
        max(mean_mme) filter (where window_name = 'B0') as proximal_mme,
        max(mean_mme) filter (where window_name = 'R') as response_mme,
        sum(lower_bound_days) filter (where window_name in ('B1', 'R')) as lower_bound_days
    from episode.window_dose
    group by all
),

changed as (
    select
        episode.*,
        pain.* exclude (episode_id),
        dose.* exclude (episode_id),
        dose.response_mme / nullif(dose.distal_mme, 0) as response_to_distal_ratio,
        pain.response_nrs - pain.distal_nrs as distal_change_nrs,
        pain.response_nrs - pain.proximal_nrs as proximal_change_nrs,
        pain.early_nrs - pain.proximal_nrs as early_change_nrs,
        pain.late_nrs - pain.early_nrs as late_change_nrs,
        $rtm_slope * (pain.proximal_nrs - pain.distal_nrs) as expected_change_nrs,
        sqrt(pain.response_se_nrs ** 2 + pain.distal_se_nrs ** 2) as change_se_nrs,
        sqrt(pain.early_se_nrs ** 2 + pain.proximal_se_nrs ** 2) as early_change_se_nrs,
        least(pain.distal_week_count, pain.proximal_week_count, pain.response_week_count)
            as fewest_scored_weeks
    from episode.episode as episode
    left join pain using (episode_id)
    left join dose using (episode_id)
),

-- An episode that cannot be judged says why; it is never counted as a negative.
episode_profile as (
    select
        * exclude (excluded_reason),
        distal_change_nrs - expected_change_nrs as adjusted_change_nrs,
        case
            when fewest_scored_weeks >= $grade_a_weeks then 'A'
            when fewest_scored_weeks >= $grade_b_weeks then 'B'
            when fewest_scored_weeks >= $min_scored_weeks then 'C'
        end as data_grade,
        excluded_reason,
        case
            when coalesce(follow_up_days < $response_to_day, true) then 'follow_up_too_short'
            when distal_week_count < $min_scored_weeks then 'too_few_scores_distal'
            when proximal_week_count < $min_scored_weeks then 'too_few_scores_proximal'
            when response_week_count < $min_scored_weeks then 'too_few_scores_response'
            when coalesce(lower_bound_days, 0) > 0 then 'dose_unknown'
            when response_to_distal_ratio is null then 'no_dose_in_window'
        end as not_classifiable_reason
    from changed
)

from episode_profile
