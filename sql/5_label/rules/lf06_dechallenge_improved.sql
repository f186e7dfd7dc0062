-- Pain fell after the dose was tapered, read after withdrawal has passed.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; share of the dose
-- Scope:  cohort
-- Source: Guichard 2022, Clin J Pain 38 (resolution on cessation); Compton 2022, Pain Ther 11:303;
--         Frank 2017, Ann Intern Med 167:181 (improvement after a taper is not specific)
with

-- What pain did over the same span in episodes that were not tapered (not matched).
untapered as (
    select avg(change_nrs) as change_nrs
    from episode.dechallenge
    where
        not is_taper
        and cut_share is not null
        and is_observable
        and before_week_count >= $min_scored_weeks
        and after_week_count >= $min_scored_weeks
),

measured as (
    select
        dechallenge.*,
        round(dechallenge.change_nrs - coalesce(untapered.change_nrs, 0), 9)
            as adjusted_change_nrs,
        $within_person_sd_nrs * sqrt(
            1 / nullif(dechallenge.before_week_count, 0)
            + 1 / nullif(dechallenge.after_week_count, 0)
        ) as change_se_nrs
    from episode.dechallenge as dechallenge
    cross join untapered
),

sized as (
    select
        *,
        adjusted_change_nrs <= $improvement_nrs as is_improved,
        -adjusted_change_nrs >= $weak_se * change_se_nrs as is_beyond_weak_error,
        -adjusted_change_nrs >= $strong_se * change_se_nrs as is_beyond_strong_error,
        adjusted_change_nrs <= $strong_improvement_nrs
        or (
            adjusted_change_nrs <= round(-$strong_rise_share * before_nrs, 9)
            and adjusted_change_nrs <= $improvement_nrs
        ) as is_strongly_improved
    from measured
),

-- Not tapered, or not followed long enough, is not observable: that is no evidence either way.
judged as (
    select
        *,
        case
            when cut_share is null then 'dose_unknown'
            when not is_taper then 'no_taper'
            when not is_observable then 'follow_up_too_short'
            when before_week_count < $min_scored_weeks then 'too_few_scores_before_taper'
            when after_week_count < $min_scored_weeks then 'too_few_scores_after_taper'
            when is_improved and not is_beyond_weak_error then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF06' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_improved then 'OIH'
            else 'NONE'
        end as vote,
        case
            when abstain_reason is not null or not is_improved then null
            when is_strongly_improved and is_beyond_strong_error then 'strong'
            else 'weak'
        end as strength,
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
                'name': 'change after the taper, beyond untapered episodes',
                'value': adjusted_change_nrs,
                'threshold': $improvement_nrs::double,
                'margin': $improvement_nrs - adjusted_change_nrs,
                'unit': 'NRS point'
            }
        ] as evidence
    from judged
)

from vote
