-- Pain rose after the dose was tapered, read after withdrawal has passed.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; share of the dose
-- Scope:  cohort
-- Source: McPherson 2018, Pain 159:2097 (pain after discontinuation is unchanged on average, and
--         rises in some); thresholds are design choices
-- Rule:   the same taper and days as in LF06; pain changed by at least worsening_nrs beyond matched
--         patients without a taper and beyond measurement error
-- Settings: dechallenge_to_days, withdrawal_days
-- Unseen: which of disease that got worse and relief that was lost it is
with

sized as (
    select
        *,
        adjusted_change_nrs >= $worsening_nrs as is_worse,
        adjusted_change_nrs >= $weak_se * change_se_nrs as is_beyond_error
    from episode.dechallenge_profile
),

judged as (
    select
        *,
        case
            when not_readable_reason is not null then not_readable_reason
            when is_worse and not is_beyond_error then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF07' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_worse then 'NOT_OIH'
            else 'NONE'
        end as vote,
        case when abstain_reason is null and is_worse then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'cut against R',
                'value': cut_share,
                'threshold': $taper_min_cut::double,
                'margin': cut_share - $taper_min_cut,
                'unit': 'share'
            },
            {
                'name': 'cut against R while pain was read',
                'value': kept_cut_share,
                'threshold': $kept_min_cut::double,
                'margin': kept_cut_share - $kept_min_cut,
                'unit': 'share'
            },
            {
                'name': 'change after the taper, beyond untapered episodes',
                'value': adjusted_change_nrs,
                'threshold': $worsening_nrs::double,
                'margin': adjusted_change_nrs - $worsening_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'rise in standard errors',
                'value': adjusted_change_nrs / change_se_nrs,
                'threshold': $weak_se::double,
                'margin': adjusted_change_nrs / change_se_nrs - $weak_se,
                'unit': 'SE'
            },
            {
                'name': 'matched patients without a taper',
                'value': matched_count,
                'threshold': null,
                'margin': null,
                'unit': 'patient'
            }
        ] as evidence
    from judged
)

from vote
