-- What each rule voted, and why it abstained, as far as enough patients share it.
--
-- Grain:  one row per kind of index date, rule, vote, strength and reason to abstain
-- Key:    index_kind, rule, vote, strength, abstain_reason
-- Units:  episodes and patients, rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: label.vote; rounded because votes and tiers are made of one another, so that exact counts
--         of both would tell the small ones
with

vote_count as (
    select
        episode.index_kind,
        vote.rule,
        vote.vote,
        coalesce(vote.strength, '') as strength,
        coalesce(vote.abstain_reason, '') as abstain_reason,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as episode_count,
        (round(count(distinct episode.patient_index) / $min_cell_count) * $min_cell_count)::bigint
            as patient_count
    from label.vote as vote
    inner join episode.episode as episode using (episode_id)
    group by all
    having count(distinct episode.patient_index) >= $min_cell_count
)

from vote_count
