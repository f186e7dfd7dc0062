-- How often the rules flag an episode, by what begins it: escalations beside sham dates.
--
-- Grain:  one row per kind of index date of enough patients, and one of the escalations that rose
--         as far as LF01 asks
-- Key:    index_kind, episode_group
-- Units:  episodes, rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: label.tier; flagged is possible or higher. Rounded, because the tiers are counted exactly
with

judged as (
    select
        tier.*,
        tier.index_kind = 'dose_led'
        and coalesce(profile.response_to_distal_ratio >= $paradox_min_dose_ratio, false)
            as is_dose_met
    from label.tier as tier
    left join episode.episode_profile as profile using (episode_id)
    where tier.tier <> 'insufficient_data'
),

-- At sham dates LF01 does not ask for a dose. What it flags there stands beside the escalations of
-- which it has nothing to ask either, because the dose rose as far.
grouped as (
    select
        *,
        unnest(if(is_dose_met, ['all', 'dose_met'], ['all'])) as episode_group
    from judged
),

-- Few that are in one row and not in the other would be told by both.
beside as (
    select count(distinct patient_index) as patient_count
    from judged
    where index_kind = 'dose_led' and not is_dose_met
),

-- No sham date can be probable by repeated steps of the dose.
counted as (
    select
        index_kind,
        episode_group,
        count(distinct patient_index) as patient_count,
        count(*) as judged_episodes,
        count(*) filter (where tier in ('possible', 'probable', 'strong_candidate'))
            as flagged_episodes,
        count(*) filter (where tier in ('probable', 'strong_candidate')) as probable_episodes,
        count(*) filter (
            where tier in ('probable', 'strong_candidate') and not is_probable_by_steps
        ) as one_step_probable_episodes
    from grouped
    group by all
),

flag_rate as (
    select
        counted.index_kind,
        counted.episode_group,
        (round(counted.judged_episodes / $min_cell_count) * $min_cell_count)::bigint
            as judged_episodes,
        (round(counted.flagged_episodes / $min_cell_count) * $min_cell_count)::bigint
            as flagged_episodes,
        (round(counted.probable_episodes / $min_cell_count) * $min_cell_count)::bigint
            as probable_episodes,
        (round(counted.one_step_probable_episodes / $min_cell_count) * $min_cell_count)::bigint
            as one_step_probable_episodes
    from counted
    cross join beside
    where
        counted.patient_count >= $min_cell_count
        and (
            counted.episode_group = 'all'
            or beside.patient_count = 0
            or beside.patient_count >= $min_cell_count
        )
)

from flag_rate
