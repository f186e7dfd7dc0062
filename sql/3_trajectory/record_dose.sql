-- Daily dose of every prescription and administration.
--
-- Grain:  one row per row of trajectory.record_amount
-- Key:    record_id
-- Units:  dose_micro_mme in millionths of an MME per day, rounded half up once per record;
--         dose_micro_unit in millionths of dose_unit per day
-- Scope:  patient
-- Source: factors of $factor_set, for parenteral routes of $parenteral_factor_set, in
--         reference.mme_factor; policies of the study
with

-- Parenteral factors differ up to twofold between sources, so they come only from a set that the
-- study names for them.
factor_row as (
    select *
    from reference.mme_factor
    where
        (factor_set = $factor_set and route <> 'parenteral')
        or (factor_set = $parenteral_factor_set and route = 'parenteral')
),

item as (
    select distinct
        ingredient,
        route,
        form,
        dose_unit
    from trajectory.record_amount
    where ingredient is not null
),

-- The rows of the set that fit an item and say most about it. A factor for any route was made for
-- what patients take themselves, never for what goes into a vein or beside the spinal cord.
fitting as (
    select
        item.*,
        factor_row.factor_set,
        factor_row.factor,
        factor_row.above_mg_per_day,
        4 * (factor_row.route = 'any')::integer
        + 2 * (factor_row.form = 'any')::integer
        + (factor_row.dose_unit = 'any')::integer as distance
    from item
    inner join factor_row
        on
            item.ingredient = factor_row.ingredient
            and (
                item.route = factor_row.route
                or (
                    factor_row.route = 'any'
                    and (
                        factor_row.factor is null
                        or item.route not in ('parenteral', 'epidural', 'intrathecal')
                    )
                )
            )
            and (item.form = factor_row.form or factor_row.form = 'any')
            and (item.dose_unit = factor_row.dose_unit or factor_row.dose_unit = 'any')
),

closest as (
    select *
    from fitting
    qualify distance = min(distance) over (partition by ingredient, route, form, dose_unit)
),

-- One factor, or one per band of the daily dose (methadone).
fitted as (
    select
        ingredient,
        route,
        form,
        dose_unit,
        any_value(factor_set) as factor_set,
        list(
            { 'above_mg_per_day': above_mg_per_day, 'factor': factor } order by above_mg_per_day
        ) as bands
    from closest
    group by all
),

known as (
    select
        ingredient,
        list(distinct route) as routes
    from factor_row
    group by all
),

-- Why the set cannot convert an item, whatever its dose.
factored as (
    select
        item.*,
        fitted.bands,
        fitted.factor_set,
        case
            when fitted.bands[1]['factor'] is null and fitted.bands is not null then 'not_converted'
            when known.ingredient is null then 'no_factor_for_ingredient'
            when item.route is null then 'no_route'
            when
                fitted.bands is null
                and not list_contains(known.routes, 'any')
                and not list_contains(known.routes, item.route)
                then 'no_factor_for_route'
            when fitted.bands is null and item.dose_unit is not null then 'unit_does_not_fit'
        end as set_reason
    from item
    left join known on item.ingredient = known.ingredient
    left join fitted
        on
            item.ingredient = fitted.ingredient
            and item.route is not distinct from fitted.route
            and item.form is not distinct from fitted.form
            and item.dose_unit is not distinct from fitted.dose_unit
),

-- What was ordered in hospital is given there, what was ordered outside is dispensed. A source that
-- keeps all kinds of record in one table delivers those of which it has a row.
feed as (
    select
        source,
        'inpatient' as care_setting
    from clean.source_coverage
    where table_name = 'administration' and is_delivered and row_count > 0
    union
    select
        source,
        'outpatient' as care_setting
    from trajectory.record_amount
    where record_kind = 'dispensing'
),

-- An order is no exposure where its source delivers what became of it. One of an unknown setting
-- may be either, so that no dose counts twice.
exposure_feed as (
    select
        source,
        care_setting
    from feed
    union
    select
        source,
        null as care_setting
    from feed
),

-- What the study leaves out says why and touches no day. What it does not count stays, with an
-- unknown dose. An order whose days nobody knows could be of any day.
policed as (
    select
        amount.*,
        factored.bands,
        factored.factor_set,
        factored.set_reason,
        case
            when amount.ingredient = 'buprenorphine' and $buprenorphine = 'without'
                then 'buprenorphine_excluded'
            when amount.product_use = 'oud_treatment' and $oud_medication = 'without'
                then 'oud_medication_excluded'
            when amount.product_use = 'antitussive' and $antitussive = 'without'
                then 'antitussive_excluded'
            when amount.route in ('epidural', 'intrathecal') and $neuraxial = 'without'
                then 'neuraxial_excluded'
            when amount.route = 'parenteral' and $parenteral = 'without'
                then 'parenteral_excluded'
            when amount.record_kind <> 'order' then null
            when exposure_feed.source is not null then 'order_not_exposure'
            when amount.reason = 'no_days_supply' then 'order_without_days_supply'
        end as exclusion_reason,
        case
            when amount.ingredient = 'buprenorphine' and $buprenorphine = 'lower_bound'
                then 'buprenorphine_not_counted'
            when amount.product_use = 'oud_treatment' and $oud_medication = 'lower_bound'
                then 'oud_medication_not_counted'
            when amount.product_use = 'antitussive' and $antitussive = 'lower_bound'
                then 'antitussive_not_counted'
            when amount.route in ('epidural', 'intrathecal') then 'neuraxial_not_counted'
            when amount.route = 'parenteral' and $parenteral = 'lower_bound'
                then 'parenteral_not_counted'
        end as uncounted_reason
    from trajectory.record_amount as amount
    left join exposure_feed
        on
            amount.source = exposure_feed.source
            and amount.care_setting is not distinct from exposure_feed.care_setting
    left join factored
        on
            amount.ingredient = factored.ingredient
            and amount.route is not distinct from factored.route
            and amount.form is not distinct from factored.form
            and amount.dose_unit is not distinct from factored.dose_unit
),

-- The record's own band is that of its own daily dose; a day's band is that of all records of the
-- day, which the timeline knows.
banded as (
    select
        *,
        case
            when
                set_reason in ('not_converted', 'no_factor_for_ingredient')
                and uncounted_reason is null
                then set_reason
            when uncounted_reason is not null then uncounted_reason
            when reason = 'unknown_route' then reason
            when set_reason <> 'unit_does_not_fit' then set_reason
            else coalesce(reason, set_reason)
        end as unknown_reason,
        coalesce(
            list_filter(
                bands,
                lambda band: total_amount
                > days
                * round(band.above_mg_per_day::double * 1e6)::hugeint
                * 1000000000000::hugeint
            )[-1],
            bands[1]
        )['factor'] as factor
    from policed
),

-- Amount (to 10^-18) and factor (to 10^-9) as whole numbers multiply without a rounding: 37.5 mcg/h
-- x 2.4 is 90, and no dose depends on how a machine adds up. A billion MME and more is a fault of
-- the data and would not fit.
fitting_number as (
    select
        *,
        unknown_reason is null and total_amount::double / 1e18 * factor < 1e9 as is_known,
        round(factor::double * 1e9)::hugeint as nano_factor,
        days * 1000000000000000000000::hugeint as one_micro_mme,
        days * 1000000000000::hugeint as one_micro_unit
    from banded
),

record_dose as (
    select
        record_id,
        record_kind,
        patient_index,
        ingredient,
        route,
        form,
        release,
        dose_unit,
        unit_strength,
        start_date,
        end_date,
        days_supply,
        factor,
        exclusion_reason is null as is_in_timeline,
        coalesce(factor_set, $factor_set::varchar) as factor_set,
        coalesce(
            exclusion_reason,
            unknown_reason,
            case when not coalesce(is_known, false) then 'dose_out_of_range' end
        ) as reason,
        case
            when total_amount::double / 1e12 / days < 9e18
                then ((2 * total_amount + one_micro_unit) // (2 * one_micro_unit))::bigint
        end as dose_micro_unit,
        case
            when is_known
                then
                    (
                        (2 * total_amount * nano_factor + one_micro_mme) // (2 * one_micro_mme)
                    )::bigint
        end as dose_micro_mme,
        case
            when is_known
                then
                    (
                        (2 * low_total_amount * nano_factor + one_micro_mme) // (2 * one_micro_mme)
                    )::bigint
        end as low_dose_micro_mme,
        case
            when is_known and high_total_amount::double / 1e18 * factor < 1e9
                then
                    (
                        (2 * high_total_amount * nano_factor + one_micro_mme) // (2 * one_micro_mme)
                    )::bigint
        end as high_dose_micro_mme,
        case when is_known and len(bands) > 1 then dose_micro_unit end as tiered_micro_mg
    from fitting_number
)

from record_dose
