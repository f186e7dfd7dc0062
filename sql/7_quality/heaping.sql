-- Heaping: how often days supply and quantity have the sizes that prescribers and packages prefer.
--
-- Grain:  one row per source, measure and preferred value, and one for all other values
-- Key:    source, measure, preferred_value
-- Units:  records
-- Scope:  cohort
-- Source: clean.prescription, values of reference.preferred_value
with

measured as (
    select
        source,
        'days_supply' as measure,
        days_supply::double as amount
    from clean.prescription
    where days_supply is not null
    union all
    select
        source,
        'quantity' as measure,
        quantity as amount
    from clean.prescription
    where quantity is not null
),

of_measure as (
    select
        source,
        measure,
        count(*) as record_count
    from measured
    group by all
),

placed as (
    select
        measured.source,
        measured.measure,
        coalesce(preferred.preferred_value::varchar, 'other') as preferred_value,
        count(*) as record_count
    from measured
    left join reference.preferred_value as preferred
        on measured.measure = preferred.measure and measured.amount = preferred.preferred_value
    group by all
),

heaping as (
    select
        placed.source,
        placed.measure,
        placed.preferred_value,
        placed.record_count,
        placed.record_count / of_measure.record_count as record_share
    from placed
    inner join of_measure using (source, measure)
)

from heaping
