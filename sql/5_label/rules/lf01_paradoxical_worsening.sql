-- Pain rose beyond what was to be expected after the dose rose.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; ratio of doses
-- Scope:  cohort
-- Source: Chen 2014, J Opioid Manag 10:383 (hyperalgesia gets worse with the dose, tolerance
--         better); Hayes 2020, Pain 161:979 (escalation without benefit is common); thresholds of
--         worsening are design choices
-- Rule:   R less B1, beyond the expected change, is at least weak_rise_nrs (strong:
--         strong_rise_nrs, or strong_rise_share of B1) and beyond error, that of the scores and
--         that of the expected change; R less B0 is at least proximal_fall_limit_nrs; the dose in
--         R is at least paradox_min_dose_ratio times that in B1. Where no dose was raised, it is
--         taken as if it had been: at sham dates, so that what fires there is what pain alone
--         does, and where pain led at a steady dose
-- Unseen: why pain rose: disease that got worse, and withdrawal between doses, look the same here
with

measured as (
    select
        episode_id,
        not_classifiable_reason,
        adjusted_change_nrs,
        adjusted_change_se_nrs,
        proximal_change_nrs,
        response_to_distal_ratio,
        case when index_kind = 'dose_led' then $paradox_min_dose_ratio::double end
            as min_dose_ratio,
        adjusted_change_nrs >= $weak_rise_nrs as is_rise,
        adjusted_change_nrs >= $weak_se * adjusted_change_se_nrs as is_beyond_weak_error,
        adjusted_change_nrs >= $strong_se * adjusted_change_se_nrs as is_beyond_strong_error,
        adjusted_change_nrs >= $strong_rise_nrs
        or (
            adjusted_change_nrs >= round($strong_rise_share * distal_nrs, 9)
            and adjusted_change_nrs >= $weak_rise_nrs
        ) as is_strong_rise,
        proximal_change_nrs >= $proximal_fall_limit_nrs
        and coalesce(response_to_distal_ratio >= min_dose_ratio, min_dose_ratio is null)
            as is_paradox
    from episode.episode_profile
    where excluded_reason is null
),

judged as (
    select
        *,
        case
            when not_classifiable_reason is not null then not_classifiable_reason
            when is_rise and is_paradox and not is_beyond_weak_error
                then 'within_measurement_error'
        end as abstain_reason
    from measured
),

vote as (
    select
        episode_id,
        'LF01' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_rise and is_paradox then 'OIH'
            else 'NONE'
        end as vote,
        case
            when abstain_reason is not null or not (is_rise and is_paradox) then null
            when is_strong_rise and is_beyond_strong_error then 'strong'
            else 'weak'
        end as strength,
        abstain_reason,
        [
            {
                'name': 'adjusted change R - B1',
                'value': adjusted_change_nrs,
                'threshold': $weak_rise_nrs::double,
                'margin': adjusted_change_nrs - $weak_rise_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change R - B0',
                'value': proximal_change_nrs,
                'threshold': $proximal_fall_limit_nrs::double,
                'margin': proximal_change_nrs - $proximal_fall_limit_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'dose ratio R to B1',
                'value': response_to_distal_ratio,
                'threshold': min_dose_ratio,
                'margin': response_to_distal_ratio - min_dose_ratio,
                'unit': 'ratio'
            },
            {
                'name': 'change in standard errors',
                'value': adjusted_change_nrs / adjusted_change_se_nrs,
                'threshold': $weak_se::double,
                'margin': adjusted_change_nrs / adjusted_change_se_nrs - $weak_se,
                'unit': 'SE'
            }
        ] as evidence
    from judged
)

from vote
