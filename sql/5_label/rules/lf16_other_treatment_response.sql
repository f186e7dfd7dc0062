-- Pain fell after treatment other than opioids was begun: with less opioid, or without.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; share of the dose
-- Scope:  cohort
-- Source: survey of practitioners 2020, Clin J Pain, PMID 32028382 (how hyperalgesia is managed; a
--         response is not specific); Jackson 2021, Front Psychiatry 593842 (low-dose naltrexone,
--         uncontrolled)
-- Rule:   after a gabapentinoid, an antidepressant, physical therapy or low-dose naltrexone is
--         begun, pain read from switched_from_day on is lower by strong_rise_share: for
--         hyperalgesia where the opioid was cut by taper_min_fall with it, else for another cause.
--         Only the first such treatment is read
-- Settings: new_drug_days, switched_from_day
-- Unseen: exercise or therapy that nobody coded; a response is not specific
with

measured as (
    select
        episode.episode_id,
        episode.follow_up_days,
        feed.has_adjuvants,
        feed.has_procedures,
        response.treatment,
        response.followed_days,
        response.before_week_count,
        response.switched_week_count,
        (response.start_date - episode.index_date)::double as start_day,
        round(response.switched_nrs - response.before_nrs, 9) as change_nrs,
        round(1 - response.after_mme / nullif(response.before_mme, 0), 9) as cut_share,
        -- A share of the pain before, and no less than a point.
        least($improvement_nrs, round(-$strong_rise_share * response.before_nrs, 9)) as limit_nrs,
        $within_person_sd_nrs * sqrt(
            1 / nullif(response.before_week_count, 0)
            + 1 / nullif(response.switched_week_count, 0)
        ) as change_se_nrs
    from episode.episode as episode
    inner join episode.delivered_feed as feed using (episode_id)
    left join episode.treatment_response as response
        on
            episode.episode_id = response.episode_id and response.treatment = 'other_treatment'
    where episode.excluded_reason is null
),

sized as (
    select
        *,
        change_nrs <= limit_nrs as is_improved,
        -change_nrs >= $weak_se * change_se_nrs as is_beyond_error,
        cut_share >= $taper_min_fall as is_cut
    from measured
),

judged as (
    select
        *,
        case
            when treatment is null and coalesce(follow_up_days < $confirmation_from_day, true)
                then 'follow_up_too_short'
            when treatment is null and not has_adjuvants then 'no_adjuvant_feed'
            when treatment is null and not has_procedures then 'no_procedure_feed'
            when treatment is null then 'no_other_treatment'
            when coalesce(followed_days < $treated_late_day, true) then 'follow_up_too_short'
            when before_week_count < $min_scored_weeks then 'too_few_scores_before_treatment'
            when switched_week_count < $min_scored_weeks then 'too_few_scores_after_treatment'
            when is_improved and not is_beyond_error then 'within_measurement_error'
            when is_improved and is_cut is null then 'dose_unknown'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF16' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when not is_improved then 'NONE'
            when is_cut then 'OIH'
            else 'OTHER'
        end as vote,
        case when abstain_reason is null and is_improved then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'change after the treatment',
                'value': change_nrs,
                'threshold': limit_nrs::double,
                'margin': limit_nrs - change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'cut of the opioid with it',
                'value': cut_share,
                'threshold': $taper_min_fall::double,
                'margin': cut_share - $taper_min_fall,
                'unit': 'share'
            },
            {
                'name': 'day of the treatment',
                'value': start_day,
                'threshold': $confirmation_to_day::double,
                'margin': $confirmation_to_day - start_day,
                'unit': 'day'
            }
        ] as evidence
    from judged
)

from vote
