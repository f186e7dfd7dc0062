-- The dose rose a lot and pain stayed high.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; ratio of doses
-- Scope:  cohort
-- Source: Hayes 2020, Pain 161:979 and Morasco 2020, Pain 161:1332 (most escalations bring no
--         benefit); thresholds are design choices
-- Rule:   the dose in R is at least no_benefit_min_dose_ratio times that in B1, pain in R is at
--         least no_benefit_min_nrs, and R less B0 at least proximal_fall_limit_nrs. It is half a
--         vote for hyperalgesia and half a vote for tolerance, weak, and no tier counts it: it is
--         expected of most escalations. At sham dates the dose is taken as if it had risen; where
--         pain led at a steady dose, nothing was escalated without benefit
-- Unseen: which of the two it is, and what pain would have been without the rise of the dose
with

measured as (
    select
        episode_id,
        not_classifiable_reason,
        response_nrs,
        proximal_change_nrs,
        response_to_distal_ratio,
        case when not starts_with(index_kind, 'sham_') then $no_benefit_min_dose_ratio::double end
            as min_dose_ratio
    from episode.episode_profile
    where excluded_reason is null
),

judged as (
    select
        *,
        coalesce(response_to_distal_ratio >= min_dose_ratio, min_dose_ratio is null)
        and response_nrs >= $no_benefit_min_nrs
        and proximal_change_nrs >= $proximal_fall_limit_nrs as is_without_benefit
    from measured
),

vote as (
    select
        episode_id,
        'LF02' as rule,
        case
            when not_classifiable_reason is not null then 'ABSTAIN'
            when is_without_benefit then 'OIH_OR_TOL'
            else 'NONE'
        end as vote,
        case when not_classifiable_reason is null and is_without_benefit then 'weak' end
            as strength,
        not_classifiable_reason as abstain_reason,
        [
            {
                'name': 'dose ratio R to B1',
                'value': response_to_distal_ratio,
                'threshold': min_dose_ratio,
                'margin': response_to_distal_ratio - min_dose_ratio,
                'unit': 'ratio'
            },
            {
                'name': 'pain in R',
                'value': response_nrs,
                'threshold': $no_benefit_min_nrs::double,
                'margin': response_nrs - $no_benefit_min_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change R - B0',
                'value': proximal_change_nrs,
                'threshold': $proximal_fall_limit_nrs::double,
                'margin': proximal_change_nrs - $proximal_fall_limit_nrs,
                'unit': 'NRS point'
            }
        ] as evidence
    from judged
)

from vote
