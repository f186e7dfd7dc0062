-- What each rule voted, and why it abstained, as far as enough patients share it.
--
-- Grain:  one row per kind of index date, rule, vote, strength and reason to abstain
-- Key:    index_kind, rule, vote, strength, abstain_reason
-- Units:  episodes and patients, rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: label.vote; rounded because votes and tiers are made of one another, so that exact counts
--         of both would tell the small ones
with

counted as (
    select
        episode.index_kind,
        vote.rule,
        vote.vote,
        coalesce(vote.strength, '') as strength,
        coalesce(vote.abstain_reason, '') as abstain_reason,
        count(*) as episode_count,
        count(distinct episode.patient_index) as patient_count
    from label.vote as vote
    inner join episode.episode as episode using (episode_id)
    group by all
),

-- What a vote is a share of: the episodes on which the rule did not abstain. Votes of few patients
-- are among them, too.
judged as (
    select
        *,
        sum(if(vote = 'ABSTAIN', 0, episode_count)) over (partition by index_kind, rule)
            as judged_count
    from counted
),

vote_count as (
    select
        index_kind,
        rule,
        vote,
        strength,
        abstain_reason,
        (round(episode_count / $min_cell_count) * $min_cell_count)::bigint as episode_count,
        (round(patient_count / $min_cell_count) * $min_cell_count)::bigint as patient_count,
        case
            when vote <> 'ABSTAIN'
                then (round(judged_count / $min_cell_count) * $min_cell_count)::bigint
        end as judged_count
    from judged
    where patient_count >= $min_cell_count
)

from vote_count
