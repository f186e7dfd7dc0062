-- Pain was coded in new regions of the body, or of the whole body for the first time.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  body regions; days with codes
-- Scope:  cohort
-- Source: Katz 2015, Anesthesiology 122:677 and Wilson 2021, Pain Manag 11:405 (pain beyond its
--         first site); Mansfield 2017, Pain, PMC5175996 (codes of several regions told half of
--         surveyed widespread pain); overlapping conditions after Schrepf 2020, J Pain 21:59
-- Rule:   at least spread_min_regions body regions, or widespread pain, or a chronic overlapping
--         pain condition, coded from spread_from_day to spread_to_day and not in the look-back
--         before, days with a coded injury left out. The vote is retrospective; the evidence also
--         says what was seen by the last day that a feature may use
-- Unseen: spread that nobody coded, and how clinics differ in coding
with

judged_episode as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        episode.follow_up_days,
        feed.has_diagnoses
    from episode.episode as episode
    left join episode.delivered_feed as feed using (episode_id)
    where episode.excluded_reason is null
),

coded_day as (
    select distinct
        patient_index,
        diagnosis_date
    from clean.diagnosis
),

-- Too few days with codes say nothing of where pain was.
coding as (
    select
        judged_episode.episode_id,
        count(*) filter (
            where coded_day.diagnosis_date < judged_episode.index_date + $spread_from_day
        ) as day_count_before,
        count(*) filter (
            where coded_day.diagnosis_date >= judged_episode.index_date + $spread_from_day
        ) as day_count_in
    from judged_episode
    inner join coded_day
        on
            judged_episode.patient_index = coded_day.patient_index
            and coded_day.diagnosis_date
            between judged_episode.index_date - $look_back_days
            and judged_episode.index_date + $spread_to_day
    group by all
),

-- A region is new if its first code from the look-back on is in the window.
first_coded as (
    select
        judged_episode.episode_id,
        region_day.region,
        region_day.region in ('widespread', 'overlapping_pain_condition') as is_general,
        min(region_day.coded_date) - judged_episode.index_date as first_day
    from judged_episode
    inner join trajectory.pain_region_day as region_day
        on
            judged_episode.patient_index = region_day.patient_index
            and region_day.coded_date
            between judged_episode.index_date - $look_back_days
            and judged_episode.index_date + $spread_to_day
    group by judged_episode.episode_id, judged_episode.index_date, region_day.region
),

new_region as (
    select
        episode_id,
        count_if(not is_general and first_day <= $response_to_day) as early_region_count,
        count_if(not is_general) as region_count,
        count_if(is_general and first_day <= $response_to_day) as early_general_count,
        count_if(is_general) as general_count
    from first_coded
    where first_day >= $spread_from_day
    group by all
),

-- Nothing is known where no diagnoses were delivered.
seen as (
    select
        judged_episode.episode_id,
        judged_episode.follow_up_days,
        coalesce(judged_episode.has_diagnoses, false) as has_feed,
        case when has_feed then coalesce(coding.day_count_before, 0) end as day_count_before,
        case when has_feed then coalesce(coding.day_count_in, 0) end as day_count_in,
        case when has_feed then coalesce(new_region.early_region_count, 0) end
            as early_region_count,
        case when has_feed then coalesce(new_region.region_count, 0) end as region_count,
        case when has_feed then coalesce(new_region.early_general_count, 0) end
            as early_general_count,
        case when has_feed then coalesce(new_region.general_count, 0) end as general_count
    from judged_episode
    left join coding using (episode_id)
    left join new_region using (episode_id)
),

judged as (
    select
        *,
        coalesce(region_count >= $spread_min_regions or general_count >= 1, false) as is_spread,
        case
            when not has_feed then 'no_diagnosis_feed'
            when day_count_before < $spread_min_coded_days then 'too_few_coded_days_before'
            when day_count_in < $spread_min_coded_days then 'too_few_coded_days_in_window'
            when not is_spread and coalesce(follow_up_days < $spread_to_day, true)
                then 'follow_up_too_short'
        end as abstain_reason
    from seen
),

vote as (
    select
        episode_id,
        'LF05' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_spread then 'OIH'
            else 'NONE'
        end as vote,
        case when abstain_reason is null and is_spread then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'new body regions by the end of the spread window (retrospective)',
                'value': region_count,
                'threshold': $spread_min_regions::double,
                'margin': region_count - $spread_min_regions,
                'unit': 'region'
            },
            {
                'name': 'first widespread or overlapping codes by then (retrospective)',
                'value': general_count,
                'threshold': 1,
                'margin': general_count - 1,
                'unit': 'kind of code'
            },
            {
                'name': 'new body regions by the end of R',
                'value': early_region_count,
                'threshold': $spread_min_regions::double,
                'margin': early_region_count - $spread_min_regions,
                'unit': 'region'
            },
            {
                'name': 'first widespread or overlapping codes by the end of R',
                'value': early_general_count,
                'threshold': 1,
                'margin': early_general_count - 1,
                'unit': 'kind of code'
            },
            {
                'name': 'days with codes in the look-back',
                'value': day_count_before,
                'threshold': $spread_min_coded_days::double,
                'margin': day_count_before - $spread_min_coded_days,
                'unit': 'day'
            },
            {
                'name': 'days with codes in the spread window',
                'value': day_count_in,
                'threshold': $spread_min_coded_days::double,
                'margin': day_count_in - $spread_min_coded_days,
                'unit': 'day'
            }
        ] as evidence
    from judged
)

from vote
