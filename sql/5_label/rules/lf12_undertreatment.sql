-- Pain fell and stayed lower at a low dose, which speaks for undertreatment before.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; doses in MME per day
-- Scope:  cohort
-- Source: Chen 2014, J Opioid Manag 10:383 (pain that a higher dose relieves); Busse 2018, JAMA
--         320:2448 (relief beyond placebo is under a point on average); thresholds are design
--         choices
-- Rule:   the dose in R is below undertreated_max_mme, and both R less B0 and R2 less B0 are at
--         most relief_nrs, R less B0 beyond measurement error
-- Unseen: relief that had another reason than the dose, and pain that falls back by itself
with

measured as (
    select
        episode_id,
        not_classifiable_reason,
        response_mme,
        proximal_change_nrs,
        coalesce(late_week_count, 0) as late_week_count,
        round(late_nrs - proximal_nrs, 9) as late_to_proximal_nrs,
        sqrt(response_se_nrs ** 2 + proximal_se_nrs ** 2) as change_se_nrs
    from episode.episode_profile
    where excluded_reason is null
),

sized as (
    select
        *,
        response_mme < $undertreated_max_mme and proximal_change_nrs <= $relief_nrs as is_relieved,
        late_to_proximal_nrs <= $relief_nrs as is_kept,
        -proximal_change_nrs >= $weak_se * change_se_nrs as is_beyond_error
    from measured
),

-- Whether relief was kept is asked only where there was relief.
judged as (
    select
        *,
        case
            when not_classifiable_reason is not null then not_classifiable_reason
            when not is_relieved then null
            when late_week_count < $min_scored_weeks then 'too_few_scores_late'
            when is_kept and not is_beyond_error then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF12' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_relieved and is_kept then 'UND'
            else 'NONE'
        end as vote,
        case when abstain_reason is null and is_relieved and is_kept then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'dose in R',
                'value': response_mme,
                'threshold': $undertreated_max_mme::double,
                'margin': $undertreated_max_mme - response_mme,
                'unit': 'MME/day'
            },
            {
                'name': 'change R - B0',
                'value': proximal_change_nrs,
                'threshold': $relief_nrs::double,
                'margin': $relief_nrs - proximal_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change R2 - B0',
                'value': late_to_proximal_nrs,
                'threshold': $relief_nrs::double,
                'margin': $relief_nrs - late_to_proximal_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'fall R - B0 in standard errors',
                'value': -proximal_change_nrs / change_se_nrs,
                'threshold': $weak_se::double,
                'margin': -proximal_change_nrs / change_se_nrs - $weak_se,
                'unit': 'SE'
            }
        ] as evidence
    from judged
)

from vote
