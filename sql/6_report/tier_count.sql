-- Candidate episodes by tier; a tier that nobody reached is there with zero.
--
-- Grain:  one row per kind of index date and tier
-- Key:    index_kind, tier
-- Units:  episodes and patients
-- Scope:  cohort
-- Source: label.tier, label.score
with

tier_name as (
    select
        unnest([
            'strong_candidate', 'probable', 'possible', 'mixed', 'alternative_more_likely',
            'no_paradox', 'insufficient_data'
        ]) as tier,
        unnest(range(1, 8)) as tier_number
),

index_kind_name as (
    select unnest(['dose_led', 'pain_led', 'sham_maintainer', 'sham_gabapentinoid']) as index_kind
),

-- Patients are counted in every tier that one of their episodes is in.
counted as (
    select
        tier.index_kind,
        tier.tier,
        count(*) as episode_count,
        count(distinct tier.patient_index) as patient_count,
        count(distinct tier.patient_index) filter (where tier.is_dechallenge_not_observed)
            as unobserved_patients,
        avg(score.oih_probability) as mean_probability
    from label.tier as tier
    left join label.score as score using (episode_id)
    group by all
),

tier_count as (
    select
        index_kind_name.index_kind,
        tier_name.tier,
        tier_name.tier_number::integer as tier_number,
        coalesce(counted.episode_count, 0) as episode_count,
        coalesce(counted.patient_count, 0) as patient_count,
        coalesce(counted.unobserved_patients, 0) as unobserved_patients,
        counted.mean_probability
    from tier_name
    cross join index_kind_name
    left join counted
        on
            tier_name.tier = counted.tier
            and index_kind_name.index_kind = counted.index_kind
)

from tier_count
