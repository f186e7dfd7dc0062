-- Each episode in one row: doses and pain of its windows, their changes, whether it can be judged.
--
-- Grain:  one row per episode
-- Key:    episode_id
-- Units:  doses in MME per day, pain and changes in NRS points
-- Scope:  patient
-- Source: grades and windows are design choices
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
        max(lower_bound_days) filter (where window_name = 'B1') as distal_lower_bound_days,
        max(lower_bound_days) filter (where window_name = 'R') as response_lower_bound_days
    from episode.window_dose
    group by all
),

-- Days at the end of the response window with nothing in supply.
last_supply as (
    select
        episode.episode_id,
        $response_to_day - max(least(
            period.end_date - episode.index_date, $response_to_day
        )) as days_without_supply
    from episode.episode as episode
    inner join trajectory.dose_period as period
        on
            episode.patient_index = period.patient_index
            and period.end_date >= episode.index_date
            and period.start_date <= episode.index_date + $response_to_day
    group by all
),

-- Rounded, so that a change of exactly a threshold is not lost in the last binary digit.
changed as (
    select
        episode.*,
        pain.* exclude (episode_id),
        dose.* exclude (episode_id),
        last_supply.days_without_supply,
        round(dose.response_mme / nullif(dose.distal_mme, 0), 9) as response_to_distal_ratio,
        round(pain.response_nrs - pain.distal_nrs, 9) as distal_change_nrs,
        round(pain.response_nrs - pain.proximal_nrs, 9) as proximal_change_nrs,
        round(pain.early_nrs - pain.proximal_nrs, 9) as early_change_nrs,
        round(pain.late_nrs - pain.early_nrs, 9) as late_change_nrs,
        sqrt(pain.response_se_nrs ** 2 + pain.distal_se_nrs ** 2) as change_se_nrs,
        sqrt(pain.early_se_nrs ** 2 + pain.proximal_se_nrs ** 2) as early_change_se_nrs,
        least(pain.distal_week_count, pain.proximal_week_count, pain.response_week_count)
            as fewest_scored_weeks
    from episode.episode as episode
    left join pain using (episode_id)
    left join dose using (episode_id)
    left join last_supply using (episode_id)
),

-- An episode that cannot be judged says why; it is never counted as a negative.
episode_change as (
    select
        * exclude (excluded_reason, days_without_supply),
        round(proximal_nrs - distal_nrs, 9) as baseline_change_nrs,
        $strong_se * change_se_nrs as detectable_change_nrs,
        case
            when fewest_scored_weeks >= $grade_a_weeks then 'A'
            when fewest_scored_weeks >= $grade_b_weeks then 'B'
            when fewest_scored_weeks >= $min_scored_weeks then 'C'
        end as data_grade,
        excluded_reason,
        case
            when coalesce(follow_up_days < $response_to_day, true) then 'follow_up_too_short'
            when days_without_supply > $bridge_gap_days then 'therapy_ended'
            when coalesce(distal_week_count, 0) < $min_scored_weeks then 'too_few_scores_distal'
            when coalesce(proximal_week_count, 0) < $min_scored_weeks then 'too_few_scores_proximal'
            when coalesce(response_week_count, 0) < $min_scored_weeks then 'too_few_scores_response'
            -- A few days of unknown dose leave a mean over weeks as it is; more do not.
            when
                distal_lower_bound_days
                > $max_unknown_share * ($distal_to_day - $distal_from_day + 1)
                or response_lower_bound_days
                > $max_unknown_share * ($response_to_day - $response_from_day + 1)
                then 'dose_unknown'
            when coalesce(response_to_distal_ratio, 0) = 0 then 'no_dose_in_window'
        end as not_classifiable_reason
    from changed
)

from episode_change
