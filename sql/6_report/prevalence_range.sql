-- How common hyperalgesia would be among candidates, over the priors that can be defended.
--
-- Grain:  one row per kind of index date, group of episodes and prior
-- Key:    index_kind, episode_group, prior_share
-- Units:  shares; episodes and patients rounded to multiples of the smallest published count
-- Scope:  cohort
-- Source: Bayes' rule with the elicited reliabilities of reference.rule, of each dependence group
--         the vote that says most; priors from 1 % to 33 %, since prevalence is unknown (Lee 2011,
--         Pain Physician 14:145); an assumption carried through, never a measurement
with

-- A vote of at least this strength: what a weak vote alone says is the difference to a strong one.
-- Elicited twice a rule (for and against), its silence is what is left of both.
outcome as (
    select
        rule,
        dependence_group,
        direction,
        strength,
        vote_if_oih - coalesce(lead(vote_if_oih) over stronger, 0) as share_if_oih,
        vote_if_not_oih - coalesce(lead(vote_if_not_oih) over stronger, 0) as share_if_not_oih
    from reference.rule
    window stronger as (partition by rule, direction order by strength desc)
),

likelihood as (
    select
        rule,
        dependence_group,
        direction,
        strength,
        ln(share_if_oih / share_if_not_oih) as log_ratio
    from outcome
    where share_if_oih > 0 and share_if_not_oih > 0
    union all by name
    select
        rule,
        dependence_group,
        'none' as direction,
        'none' as strength,
        ln((1 - sum(share_if_oih)) / (1 - sum(share_if_not_oih))) as log_ratio
    from outcome
    group by all
),

-- An abstention says nothing. A vote that a rule has no reliability for says nothing, either.
said as (
    select
        tier.episode_id,
        tier.patient_index,
        tier.index_kind,
        tier.tier,
        likelihood.dependence_group,
        likelihood.log_ratio,
        likelihood.direction <> 'none' as is_active
    from label.tier as tier
    inner join label.vote as vote using (episode_id)
    inner join likelihood
        on
            vote.rule = likelihood.rule
            and vote.vote <> 'ABSTAIN'
            and likelihood.direction = case
                when vote.vote = 'NONE' then 'none'
                when vote.vote in ('OIH', 'OIH_OR_TOL') then 'for'
                else 'against'
            end
            and likelihood.strength = case
                when vote.vote = 'NONE' then 'none' else coalesce(vote.strength, 'weak')
            end
),

strongest as (
    select *
    from said
    qualify
        row_number() over (
            partition by episode_id, dependence_group
            order by is_active desc, abs(log_ratio) desc, log_ratio
        ) = 1
),

weighed as (
    select
        tier.episode_id,
        tier.patient_index,
        tier.index_kind,
        tier.tier in ('strong_candidate', 'probable') as is_flagged,
        coalesce(sum(strongest.log_ratio), 0) as log_ratio
    from label.tier as tier
    left join strongest using (episode_id)
    where tier.tier <> 'insufficient_data'
    group by all
),

grouped as (
    select
        *,
        'judged' as episode_group
    from weighed
    union all by name
    select
        *,
        'flagged' as episode_group
    from weighed
    where is_flagged
),

assumed as (
    select unnest($prior_shares) as prior_share
),

prevalence_range as (
    select
        grouped.index_kind,
        grouped.episode_group,
        assumed.prior_share,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as episode_count,
        (
            round(count(distinct grouped.patient_index) / $min_cell_count) * $min_cell_count
        )::bigint as patient_count,
        round(
            avg(
                1 / (
                    1
                    + (1 - assumed.prior_share) / assumed.prior_share * exp(-grouped.log_ratio)
                )
            ),
            4
        ) as expected_share
    from grouped
    cross join assumed
    group by all
    having count(distinct grouped.patient_index) >= $min_cell_count
)

from prevalence_range
