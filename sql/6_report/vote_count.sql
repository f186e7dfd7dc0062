-- What each rule voted, and why it abstained.
--
-- Grain:  one row per kind of index date, rule, vote, strength and reason to abstain
-- Key:    index_kind, rule, vote, strength, abstain_reason
-- Units:  episodes and patients
-- Scope:  cohort
-- Source: label.vote
with

vote_count as (
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
)

from vote_count
