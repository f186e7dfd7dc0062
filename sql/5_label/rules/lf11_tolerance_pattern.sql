-- Pain crept up at an unchanged dose, fell when the dose rose, and crept up again.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; NRS points per month; months
-- Scope:  cohort
-- Source: Chen 2014, J Opioid Manag 10:383 (tolerance improves with the dose, then wanes); Chu
--         2012, Pain 153:1583 (tolerance within a month, without hyperalgesia); thresholds are
--         design choices
-- Rule:   the dose was stable for at least creeping_min_months before the index date, and over the
--         stable months pain rose by at least creeping_rise_nrs a month; then E less B0 is at most
--         creeping_relief_nrs and R2 less E at least creeping_waning_nrs, both beyond measurement
--         error
-- Settings: month_days, stable_share
-- Unseen: disease that gets worse slowly; what was taken beside what was supplied
with

measured as (
    select
        profile.episode_id,
        profile.not_classifiable_reason,
        trend.stable_month_count,
        trend.scored_week_count,
        trend.rise_nrs_per_month,
        profile.early_change_nrs,
        profile.late_change_nrs,
        profile.early_change_se_nrs,
        sqrt(profile.late_se_nrs ** 2 + profile.early_se_nrs ** 2) as late_change_se_nrs,
        coalesce(profile.early_score_count, 0) as early_score_count,
        coalesce(profile.late_week_count, 0) as late_week_count,
        coalesce(trend.stable_month_count >= $creeping_min_months, false) as is_stable,
        coalesce(trend.rise_nrs_per_month >= $creeping_rise_nrs, false) as is_creeping,
        coalesce(profile.early_change_nrs <= $creeping_relief_nrs, false) as is_relieved,
        coalesce(profile.late_change_nrs >= $creeping_waning_nrs, false) as is_waned
    from episode.episode_profile as profile
    left join episode.stable_trend as trend using (episode_id)
    where profile.excluded_reason is null
),

-- What comes later is asked only where what comes before is there.
judged as (
    select
        *,
        case
            when not_classifiable_reason is not null then not_classifiable_reason
            when not is_stable then null
            when coalesce(scored_week_count, 0) < $creeping_min_scored_weeks
                then 'too_few_scores_before'
            when not is_creeping then null
            when early_score_count < 2 then 'too_few_scores_early'
            when not is_relieved then null
            when late_week_count < $min_scored_weeks then 'too_few_scores_late'
            when not is_waned then null
            when
                -early_change_nrs < $weak_se * early_change_se_nrs
                or late_change_nrs < $weak_se * late_change_se_nrs
                then 'within_measurement_error'
        end as abstain_reason,
        is_stable and is_creeping and is_relieved and is_waned as is_tolerance
    from measured
),

vote as (
    select
        episode_id,
        'LF11' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_tolerance then 'TOL'
            else 'NONE'
        end as vote,
        case when abstain_reason is null and is_tolerance then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'stable months before the index date',
                'value': stable_month_count,
                'threshold': $creeping_min_months::double,
                'margin': stable_month_count - $creeping_min_months,
                'unit': 'month'
            },
            {
                'name': 'rise of pain over the stable months',
                'value': rise_nrs_per_month,
                'threshold': $creeping_rise_nrs::double,
                'margin': rise_nrs_per_month - $creeping_rise_nrs,
                'unit': 'NRS point per month'
            },
            {
                'name': 'change E - B0',
                'value': early_change_nrs,
                'threshold': $creeping_relief_nrs::double,
                'margin': $creeping_relief_nrs - early_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change R2 - E',
                'value': late_change_nrs,
                'threshold': $creeping_waning_nrs::double,
                'margin': late_change_nrs - $creeping_waning_nrs,
                'unit': 'NRS point'
            }
        ] as evidence
    from judged
)

from vote
