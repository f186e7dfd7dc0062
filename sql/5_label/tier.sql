-- The tier of each candidate episode: what the rules add up to, decided the same way every time.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id
-- Units:  none
-- Scope:  cohort
-- Source: design choice; every pattern of votes falls in exactly one tier
with

vote as (
    select
        episode_id,
        max(vote) filter (where rule = 'LF01') as paradox_vote,
        max(strength) filter (where rule = 'LF01') as paradox_strength,
        max(vote) filter (where rule = 'LF03') as relief_vote,
        max(vote) filter (where rule = 'LF06') as dechallenge_vote,
        max(strength) filter (where rule = 'LF06') as dechallenge_strength
    from label.vote
    group by all
),

active as (
    select
        profile.episode_id,
        profile.patient_index,
        profile.index_kind,
        profile.data_grade,
        profile.step_count,
        profile.not_classifiable_reason is not null as is_insufficient,
        coalesce(vote.paradox_vote = 'OIH', false) as has_paradox,
        coalesce(vote.paradox_vote = 'OIH' and vote.paradox_strength = 'strong', false)
            as has_strong_paradox,
        coalesce(vote.relief_vote in ('UND', 'TOL'), false) as has_alternative,
        coalesce(vote.dechallenge_vote = 'OIH', false) as has_dechallenge,
        coalesce(vote.dechallenge_vote = 'OIH' and vote.dechallenge_strength = 'strong', false)
            as has_strong_dechallenge,
        coalesce(vote.dechallenge_vote, 'ABSTAIN') = 'ABSTAIN' as is_dechallenge_not_observed,
        coalesce(profile.data_grade in ('A', 'B'), false) as is_grade_b
    from episode.episode_profile as profile
    left join vote using (episode_id)
    where profile.excluded_reason is null
),

tier as (
    select
        episode_id,
        patient_index,
        index_kind,
        case
            when is_insufficient then 'insufficient_data'
            when has_alternative and has_dechallenge then 'mixed'
            when has_alternative then 'alternative_more_likely'
            -- Where pain led, no dose challenged anything.
            when has_paradox and index_kind = 'pain_led' then 'possible'
            when has_paradox and has_strong_dechallenge and is_grade_b then 'strong_candidate'
            -- A paradox seen over two steps is a repeated one.
            when (has_strong_paradox or has_paradox and step_count >= 2) and is_grade_b
                then 'probable'
            when has_paradox then 'possible'
            else 'no_paradox'
        end as tier,
        data_grade,
        is_dechallenge_not_observed
    from active
)

from tier
