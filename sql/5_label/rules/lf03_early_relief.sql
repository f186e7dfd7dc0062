-- Pain fell early after the dose rose, which speaks against hyperalgesia.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points
-- Scope:  cohort
-- Source: Chen 2014, J Opioid Manag 10:383 (tolerance improves with the dose, then wanes); size of
--         relief after Farrar 2001, Pain 94:149 (a point or a share), the share never less than
--         half of relief_nrs (design choice)
-- Rule:   E less B0 is at most relief_nrs, or strong_rise_share of B0 where that is less, and
--         beyond measurement error. Kept in R and R2 it speaks for undertreatment, gone in R2 by
--         waning_nrs for tolerance, else only against hyperalgesia
-- Unseen: relief that had another reason than the dose; pain that falls back by itself
with

-- The fall that counts as relief: a share of mild pain is less than a point.
limited as (
    select
        *,
        coalesce(
            greatest(
                $relief_nrs, least($relief_nrs / 2, round(-$strong_rise_share * proximal_nrs, 9))
            ),
            $relief_nrs
        ) as relief_limit_nrs
    from episode.episode_profile
    where excluded_reason is null
),

measured as (
    select
        episode_id,
        early_change_nrs,
        late_change_nrs,
        early_change_se_nrs,
        relief_limit_nrs,
        early_change_nrs <= relief_limit_nrs as is_relief,
        -early_change_nrs >= $weak_se * early_change_se_nrs as is_beyond_error,
        proximal_change_nrs <= relief_limit_nrs
        and round(late_nrs - proximal_nrs, 9) <= relief_limit_nrs as is_kept,
        late_change_nrs >= $waning_nrs as is_waned,
        case
            when not_classifiable_reason is not null then not_classifiable_reason
            when coalesce(early_score_count, 0) < 2 then 'too_few_scores_early'
        end as unmet
    from limited
),

judged as (
    select
        *,
        coalesce(
            unmet, case when is_relief and not is_beyond_error then 'within_measurement_error' end
        ) as abstain_reason
    from measured
),

vote as (
    select
        episode_id,
        'LF03' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when not is_relief then 'NONE'
            when coalesce(is_waned, false) then 'TOL'
            when coalesce(is_kept, false) then 'UND'
            else 'NOT_OIH'
        end as vote,
        case when abstain_reason is null and is_relief then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'change E - B0',
                'value': early_change_nrs,
                'threshold': relief_limit_nrs::double,
                'margin': relief_limit_nrs - early_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change R2 - E',
                'value': late_change_nrs,
                'threshold': $waning_nrs::double,
                'margin': late_change_nrs - $waning_nrs,
                'unit': 'NRS point'
            }
        ] as evidence
    from judged
)

from vote
