-- Pain fell after buprenorphine, methadone or an antagonist of NMDA was begun, and stayed low.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points
-- Scope:  cohort
-- Source: Guichard 2022, Clin J Pain 38 (resolution on rotation); Daitch 2014, Pain Med 15:2087
--         and Wasserman (buprenorphine; at first better, then back at baseline by 6 months)
-- Rule:   after a switch to buprenorphine, a rotation to methadone or a course of an NMDA
--         antagonist in the confirmation window, pain of the days up to treated_to_day is lower by
--         strong_rise_share, beyond measurement error; strong if it is kept up to
--         treated_late_day. Only the first such treatment is read
-- Settings: treated_from_day, treated_late_day
-- Unseen: what is given without a record, such as infusions of ketamine outside; most episodes
--         have no such treatment to read
with

measured as (
    select
        episode.episode_id,
        episode.follow_up_days,
        feed.has_adjuvants,
        response.treatment,
        response.followed_days,
        response.before_nrs,
        response.before_week_count,
        response.soon_week_count,
        response.late_week_count,
        (response.start_date - episode.index_date)::double as start_day,
        round(response.soon_nrs - response.before_nrs, 9) as soon_change_nrs,
        round(response.late_nrs - response.before_nrs, 9) as late_change_nrs,
        -- A share of the pain before, and no less than a point.
        least($improvement_nrs, round(-$strong_rise_share * response.before_nrs, 9)) as limit_nrs,
        $within_person_sd_nrs * sqrt(
            1 / nullif(response.before_week_count, 0) + 1 / nullif(response.soon_week_count, 0)
        ) as soon_se_nrs,
        $within_person_sd_nrs * sqrt(
            1 / nullif(response.before_week_count, 0) + 1 / nullif(response.late_week_count, 0)
        ) as late_se_nrs
    from episode.episode as episode
    inner join episode.delivered_feed as feed using (episode_id)
    left join episode.treatment_response as response
        on
            episode.episode_id = response.episode_id and response.treatment = 'opioid_rotation'
    where episode.excluded_reason is null
),

-- Kept is what many scored weeks show later, too; a later fall alone was none of the treatment's.
sized as (
    select
        *,
        soon_change_nrs <= limit_nrs as is_improved,
        -soon_change_nrs >= $weak_se * soon_se_nrs as is_beyond_error,
        coalesce(
            late_week_count >= $min_scored_weeks
            and late_change_nrs <= limit_nrs
            and -late_change_nrs >= $weak_se * late_se_nrs,
            false
        ) as is_kept
    from measured
),

judged as (
    select
        *,
        case
            when treatment is null and coalesce(follow_up_days < $confirmation_from_day, true)
                then 'follow_up_too_short'
            when treatment is null and not has_adjuvants then 'no_adjuvant_feed'
            when treatment is null then 'no_rotation'
            when coalesce(followed_days < $treated_to_day, true) then 'follow_up_too_short'
            when before_week_count < $min_scored_weeks then 'too_few_scores_before_rotation'
            when soon_week_count < $min_scored_weeks then 'too_few_scores_after_rotation'
            when is_improved and not is_beyond_error then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF08' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_improved then 'OIH'
            else 'NONE'
        end as vote,
        case
            when abstain_reason is not null or not is_improved then null
            when is_kept then 'strong'
            else 'weak'
        end as strength,
        abstain_reason,
        [
            {
                'name': 'change after the rotation',
                'value': soon_change_nrs,
                'threshold': limit_nrs::double,
                'margin': limit_nrs - soon_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change that was kept',
                'value': late_change_nrs,
                'threshold': limit_nrs::double,
                'margin': limit_nrs - late_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'day of the rotation',
                'value': start_day,
                'threshold': $confirmation_to_day::double,
                'margin': $confirmation_to_day - start_day,
                'unit': 'day'
            }
        ] as evidence
    from judged
)

from vote
