-- What happened to opioid therapy: escalations, tapers, cuts, ends and changes, by definition.
--
-- Grain:  one row per patient, event, definition and day
-- Key:    patient_index, event, definition, event_date
-- Units:  mean doses in MME per day
-- Scope:  patient
-- Source: Hayes 2020 (Pain 161:979), Morasco 2020 (Pain 161:1332), Henry 2015 (Pain Med), Fenton
--         2019 (JAMA Netw Open, PMC6902834), Agnoli 2021 (JAMA 326:411), PMC11044711 (abrupt), US
--         FDA (opioid tolerant); the defaults are design choices
with

-- An unknown dose before or after makes no event, nor does a window before that supply does not
-- cover. Ratios are rounded, so that one exactly at a limit is not lost in the last binary digit.
known as (
    select
        *,
        event || ' ' || definition as rule,
        round(after_mme / nullif(before_mme, 0), 9) as dose_ratio,
        round(sustained_mme / nullif(before_mme, 0), 9) as sustained_ratio,
        round(after_mme - before_mme, 9) as rise_mme
    from trajectory.dose_change
    where
        before_lower_bound_days = 0
        and before_coverage >= $min_coverage
        and before_mme > 0
        and after_mme is not null
        and (
            event <> 'escalation'
            or (after_lower_bound_days = 0 and after_coverage >= $min_coverage)
        )
),

judged as (
    select
        *,
        case rule
            when 'escalation hayes_2020' then dose_ratio > $hayes_min_ratio
            when 'escalation morasco_2020' then is_stable and dose_ratio >= $morasco_min_ratio
            when 'escalation henry_2015' then rise_mme >= $henry_min_rise_mme
            when 'escalation default'
                then
                    dose_ratio >= $escalation_min_ratio
                    and rise_mme >= $escalation_min_mme
                    and sustained_ratio >= $escalation_min_ratio
            when 'taper fenton_2019'
                then
                    is_stable
                    and round(before_mme, 9) >= $taper_baseline_min_mme
                    and round(1 - dose_ratio, 9) >= $taper_min_fall
            when 'taper default' then round(1 - dose_ratio, 9) >= $taper_min_fall
            when 'abrupt_cut default' then round(1 - dose_ratio, 9) > $abrupt_min_fall
        end as is_large_enough
    from known
),

-- A rise or a fall that a change of opioid explains is that change. The default looks at the day
-- of the rise, as an episode does; published windows are longer, and none of them may hold one.
-- A fall may come when what was left of the old opioid is used up.
dose_event as (
    select judged.*
    from judged
    anti join trajectory.opioid_switch as rotation
        on
            rotation.event = 'rotation'
            and judged.patient_index = rotation.patient_index
            and rotation.switch_date between
            case
                when judged.event <> 'escalation'
                    then judged.change_date - $rotation_days::integer
                when judged.definition = 'default' then judged.change_date
                else judged.before_start_date
            end
            and case
                when judged.event = 'escalation' and judged.definition = 'default'
                    then judged.change_date
                else judged.after_end_date
            end
    where judged.is_large_enough
),

gap_definition as (
    from (
        values
        ('default', $discontinuation_days::integer),
        ('gap_' || $discontinuation_shorter_days, $discontinuation_shorter_days::integer),
        ('gap_' || $discontinuation_shortest_days, $discontinuation_shortest_days::integer)
    ) as definition (definition, gap_days)
),

supply as (
    select
        patient_index,
        end_date as last_supply_date,
        case when not is_lower_bound then dose_mme end as dose_mme,
        lead(start_date) over (
            partition by patient_index
            order by start_date
        ) as next_supply_date
    from trajectory.dose_period
),

-- Supply that may have lasted any length of time.
unknown_supply as (
    select
        patient_index,
        start_date
    from trajectory.record_dose
    where
        record_kind <> 'administration'
        and days_supply is null
        and (is_in_timeline or reason = 'order_without_days_supply')
),

discontinuation as (
    select
        supply.patient_index,
        definition.definition,
        supply.last_supply_date,
        supply.next_supply_date,
        supply.dose_mme
    from supply
    cross join gap_definition as definition
    inner join trajectory.follow_up as follow_up
        on
            supply.patient_index = follow_up.patient_index
            and supply.last_supply_date + definition.gap_days <= follow_up.last_date
    anti join unknown_supply
        on
            supply.patient_index = unknown_supply.patient_index
            and unknown_supply.start_date
            between supply.last_supply_date - definition.gap_days
            and supply.last_supply_date + definition.gap_days
    where
        coalesce(
            supply.next_supply_date - supply.last_supply_date - 1 >= definition.gap_days, true
        )
),

opioid_event as (
    select
        patient_index,
        event,
        definition,
        change_date as event_date,
        after_end_date as end_date,
        before_mme,
        after_mme
    from dose_event
    union all by name
    select
        patient_index,
        'discontinuation' as event,
        definition,
        last_supply_date + 1 as event_date,
        next_supply_date - 1 as end_date,
        dose_mme as before_mme,
        0 as after_mme
    from discontinuation
    union all by name
    select
        patient_index,
        event,
        'default' as definition,
        switch_date as event_date,
        ingredient_before,
        ingredient_after,
        release_before,
        release_after
    from trajectory.opioid_switch
    union all by name
    select
        patient_index,
        'opioid_tolerant' as event,
        'fda' as definition,
        tolerant_date as event_date,
        end_date
    from trajectory.tolerant_period
)

from opioid_event
