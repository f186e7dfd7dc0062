-- Changes from one opioid to another, and from one release of an opioid to the other.
--
-- Grain:  one row per patient, kind of change and day on which what is new begins
-- Key:    patient_index, event, switch_date
-- Units:  dates
-- Scope:  patient
-- Source: design choice: supply within $rotation_days days on either side tells what was there
--         before and what stays
with

-- Both kinds are one question: within an ingredient it is asked of releases. A release that the
-- text does not tell is not an extended one: names of extended products say so.
supply as (
    select
        patient_index,
        'rotation' as event,
        '' as within_ingredient,
        ingredient as product,
        start_date,
        max(end_date) as end_date
    from trajectory.record_dose
    where is_in_timeline and ingredient is not null
    group by all
    union all
    select
        patient_index,
        'release_switch' as event,
        ingredient as within_ingredient,
        case when release = 'extended' then 'extended' else 'not extended' end as product,
        start_date,
        max(end_date) as end_date
    from trajectory.record_dose
    where is_in_timeline and ingredient is not null
    group by all
),

begun as (
    select
        *,
        max(end_date) over (
            partition by patient_index, event, within_ingredient, product
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as previous_end_date
    from supply
),

new_product as (
    select
        patient_index,
        event,
        within_ingredient,
        product,
        start_date as switch_date
    from begun
    where coalesce(previous_end_date < start_date - $rotation_days, true)
),

-- What was there before and does not stay has stopped, if only when what was left of it is used
-- up. A refill later, but within the same days, is no stop if it lasts beyond them.
stopped as (
    select
        new_product.patient_index,
        new_product.event,
        new_product.within_ingredient,
        new_product.product as product_after,
        new_product.switch_date,
        supply.product as product_before,
        max(supply.end_date) as last_supply_date
    from new_product
    inner join supply
        on
            new_product.patient_index = supply.patient_index
            and new_product.event = supply.event
            and new_product.within_ingredient = supply.within_ingredient
            and new_product.product <> supply.product
            and supply.end_date >= new_product.switch_date - $rotation_days
            and supply.start_date <= new_product.switch_date + $rotation_days
    group by all
    having
        bool_or(supply.start_date < new_product.switch_date)
        and not bool_or(supply.end_date >= new_product.switch_date + $rotation_days)
),

opioid_switch as (
    select
        patient_index,
        event,
        switch_date,
        max(last_supply_date) as last_supply_date,
        case event
            when 'rotation' then string_agg(distinct product_before, ' + ' order by product_before)
            else string_agg(distinct within_ingredient, ' + ' order by within_ingredient)
        end as ingredient_before,
        case event
            when 'rotation' then string_agg(distinct product_after, ' + ' order by product_after)
            else string_agg(distinct within_ingredient, ' + ' order by within_ingredient)
        end as ingredient_after,
        case
            when event = 'release_switch'
                then string_agg(distinct product_before, ' + ' order by product_before)
        end as release_before,
        case
            when event = 'release_switch'
                then string_agg(distinct product_after, ' + ' order by product_after)
        end as release_after
    from stopped
    group by patient_index, event, switch_date
)

from opioid_switch
