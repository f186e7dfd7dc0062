-- Days and daily dose of every prescription and administration.
--
-- Grain:  one row per row of clean.prescription and of clean.administration
-- Key:    record_id
-- Units:  dose_micro_mme in millionths of an MME per day, rounded half up once per record
-- Scope:  patient
-- Source: factors of the set $factor_set and wear of patches in reference.mme_factor; a supply
--         ends days_supply - 1 days after the fill (CDC PDMP indicator, end = fill + days - 1)
with

-- Spellings of units, their measure and how many of it one is. Prefixes are arithmetic; no
-- clinical choice stands here. A piece is a tablet, a patch, a suppository.
unit as (
    from (
        values
        ('mg', 'MG', 1.0), ('mcg', 'MG', 0.001), ('ug', 'MG', 0.001), ('g', 'MG', 1000.0),
        ('gm', 'MG', 1000.0), ('mg/ml', 'MG/ML', 1.0), ('mcg/ml', 'MG/ML', 0.001),
        ('mcg/hr', 'MCG/HR', 1.0), ('mcg/h', 'MCG/HR', 1.0), ('mcg/hour', 'MCG/HR', 1.0),
        ('ug/h', 'MCG/HR', 1.0), ('mg/hr', 'MCG/HR', 1000.0), ('mg/h', 'MCG/HR', 1000.0),
        ('mg/hour', 'MCG/HR', 1000.0), ('mg/actuat', 'MG/SPRAY', 1.0),
        ('mcg/actuat', 'MG/SPRAY', 0.001), ('mg/spray', 'MG/SPRAY', 1.0),
        ('mcg/spray', 'MG/SPRAY', 0.001), ('ml', 'ML', 1.0), ('tab', 'PIECE', 1.0),
        ('tabs', 'PIECE', 1.0), ('tablet', 'PIECE', 1.0), ('tablets', 'PIECE', 1.0),
        ('cap', 'PIECE', 1.0), ('caps', 'PIECE', 1.0), ('capsule', 'PIECE', 1.0),
        ('capsules', 'PIECE', 1.0), ('supp', 'PIECE', 1.0), ('patch', 'PIECE', 1.0),
        ('ptch', 'PIECE', 1.0), ('film', 'PIECE', 1.0), ('each', 'PIECE', 1.0)
    ) as spelling (unit_text, measure, scale)
),

-- Nobody is handed a supply of more than ten years: such a number belongs to another column.
-- An infusion that ends on the stroke of midnight does not touch the next day.
record as (
    select
        prescription_id as record_id,
        record_kind,
        false as is_given,
        patient_index,
        source,
        drug_text,
        route_text,
        start_date,
        end_date,
        quantity,
        nullif(strength, 0) as strength,
        strength_unit as unit_text,
        case when days_supply between 1 and 3660 then days_supply end as days_supply,
        days_supply > 3660 as is_supply_absurd
    from clean.prescription
    union all by name
    select
        administration_id as record_id,
        'administration' as record_kind,
        true as is_given,
        patient_index,
        source,
        drug_text,
        route_text,
        started_at::date as start_date,
        amount as quantity,
        amount_unit as unit_text,
        amount_unknown_reason,
        case
            when ended_at > started_at then (ended_at - interval 1 microsecond)::date
        end as end_date
    from clean.administration
),

-- Records are many and what they are of is few: texts, routes and units are worked out once each.
item as (
    select distinct
        is_given,
        drug_text,
        route_text,
        strength,
        unit_text
    from record
),

product as (
    select
        drug_product.*,
        unit.measure,
        drug_product.strength * unit.scale as measured_strength
    from trajectory.drug_product as drug_product
    left join unit on lower(drug_product.strength_unit) = unit.unit_text
),

-- What was delivered in columns of its own wins over the text. A route that nobody has mapped
-- yet is unknown, even where the text tells one.
described as (
    select
        item.*,
        product.ingredient,
        product.form,
        product.release,
        product.reason as text_reason,
        product.measure as text_measure,
        product.measured_strength as text_strength,
        unit.measure as delivered_measure,
        unit.scale as delivered_scale,
        item.strength * unit.scale as delivered_strength,
        case when item.route_text is null then product.route else route.route end as route
    from item
    left join product on item.drug_text = product.drug_text
    left join reference.route as route on lower(trim(item.route_text)) = route.route_text
    left join unit on lower(replace(item.unit_text, ' ', '')) = unit.unit_text
),

-- Every quantity becomes a count of units and the opioid in one of them: tablets of 5 mg, mL of
-- 2 mg/mL, patches of 25 mcg/h. An amount of 10 mg is ten units of 1 mg; an amount in pieces or
-- mL needs the strength of the text. Doses in mg count alike from pieces and from mL.
measured as (
    select
        *,
        case
            when is_given and delivered_measure in ('MG', 'MCG/HR') then delivered_scale
            when is_given and delivered_measure = 'ML' and text_measure <> 'MG/ML' then null
            when is_given and delivered_measure = 'PIECE' and text_measure = 'MG/ML' then null
            when is_given then text_strength
            else coalesce(delivered_strength, text_strength)
        end as unit_strength,
        case
            when is_given and delivered_measure in ('MG', 'MCG/HR') then delivered_measure
            when delivered_strength is not null then replace(delivered_measure, '/ML', '')
            else replace(text_measure, '/ML', '')
        end as dose_unit
    from described
),

-- The row of the set that fits an item and says most about it, and how far the set knows it.
fitted as (
    select
        measured.*,
        count(mme_factor.ingredient) > 0 as is_in_set,
        coalesce(bool_or(mme_factor.route in ('any', measured.route)), false) as is_route_in_set,
        arg_min(
            mme_factor,
            4 * (mme_factor.route = 'any')::integer
            + 2 * (mme_factor.form = 'any')::integer
            + (mme_factor.dose_unit = 'any')::integer
        ) filter (
            where mme_factor.route in ('any', measured.route)
            and mme_factor.form in ('any', measured.form)
            and mme_factor.dose_unit in ('any', measured.dose_unit)
        ) as fit
    from measured
    left join reference.mme_factor as mme_factor
        on measured.ingredient = mme_factor.ingredient and mme_factor.factor_set = $factor_set
    group by all
),

factored as (
    select
        * exclude (fit),
        fit is not null as is_fitted,
        fit.factor,
        fit.wear_days,
        fit.shortest_wear_days
    from fitted
),

-- Why an item has no dose whatever its quantity: first what the set cannot convert, then what is
-- not known of its strength. Strengths in text and columns that differ by more than their
-- rounding (1 %) are believed in neither.
item_dose as (
    select
        *,
        case
            when ingredient is null then coalesce(text_reason, 'text_not_read')
            when is_fitted and factor is null then 'not_converted'
            when not is_in_set then 'no_factor_for_ingredient'
            when route is null and route_text is null then 'no_route'
            when route is null then 'unknown_route'
            when not is_route_in_set then 'no_factor_for_route'
        end as set_reason,
        case
            when is_given and unit_text is null then 'no_amount_unit'
            when
                (is_given or strength is not null)
                and unit_text is not null and delivered_measure is null
                then 'unknown_unit'
            when delivered_strength is not null and delivered_measure <> text_measure
                then 'strength_contradicts_text'
            when round(abs(delivered_strength / text_strength - 1), 6) > 0.01
                then 'strength_contradicts_text'
            when unit_strength is null and text_strength is null
                then coalesce(text_reason, 'no_strength')
            when unit_strength is null or not is_fitted then 'unit_does_not_fit'
        end as strength_reason
    from factored
),

dosed as (
    select
        record.*,
        item_dose.ingredient,
        item_dose.route,
        item_dose.release,
        item_dose.dose_unit,
        item_dose.unit_strength,
        item_dose.factor,
        item_dose.wear_days,
        item_dose.shortest_wear_days,
        item_dose.set_reason,
        item_dose.strength_reason,
        floor(nullif(record.quantity, 0) * item_dose.wear_days) as worn_days
    from record
    inner join item_dose
        on
            record.is_given = item_dose.is_given
            and record.drug_text is not distinct from item_dose.drug_text
            and record.route_text is not distinct from item_dose.route_text
            and record.strength is not distinct from item_dose.strength
            and record.unit_text is not distinct from item_dose.unit_text
),

-- Patches are worn one after the other, wear_days each (72 hours for fentanyl). Fewer than the
-- days supply calls for last as long as they can be worn, as the CDC files reset it (days =
-- patches x 3). More are still one at a time while each is worn for the shortest time that the
-- labelling knows (48 hours); beyond that several are worn at once, and what was dispensed is
-- spread over the days. The factor is per mcg/h worn, never the one per patch dispensed, which
-- has the wear in it. A patch that was put on is worn for its wear_days.
supplied as (
    select
        *,
        case
            when is_given and dose_unit = 'MCG/HR' then coalesce(wear_days, 1)
            when is_given then 1 + coalesce(end_date, start_date) - start_date
            when worn_days < days_supply then greatest(worn_days, 1)::integer
            else days_supply
        end as days,
        case
            when dose_unit <> 'MCG/HR' then quantity
            when is_given then quantity * wear_days
            when quantity * shortest_wear_days <= days_supply then days
            else quantity * wear_days
        end as unit_count
    from dosed
),

-- An order is no exposure where its source delivers what was given or dispensed.
exposure_feed as (
    select source
    from clean.source_coverage
    where table_name = 'administration' and is_delivered
    union
    select source
    from clean.prescription
    where record_kind = 'dispensing'
),

judged as (
    select
        record.*,
        case
            when record.set_reason is not null then record.set_reason
            when record.is_given and record.quantity is null
                then coalesce(record.amount_unknown_reason, 'no_amount')
            when record.strength_reason is not null then record.strength_reason
            when record.is_supply_absurd then 'days_supply_out_of_range'
            when record.days is null then 'no_days_supply'
            when not record.is_given and coalesce(record.quantity, 0) = 0 then 'no_quantity'
            -- About a billion MME and more is a fault of the data.
            when coalesce(record.unit_count * record.unit_strength * record.factor >= 1e9, true)
                then 'dose_out_of_range'
        end as dose_reason,
        case
            when record.record_kind <> 'order' then null
            when exposure_feed.source is not null then 'order_not_exposure'
            when record.days is null then 'order_without_days_supply'
        end as order_reason
    from supplied as record
    left join exposure_feed on record.source = exposure_feed.source
),

-- Count (to 10^-6), strength (to 10^-12) and factor (to 10^-9) as whole numbers multiply without
-- a rounding: 37.5 mcg/h x 2.4 is 90, and no dose depends on how a machine adds up.
exact as (
    select
        *,
        case
            when dose_reason is null
                then
                    round(unit_count * 1e6)::hugeint
                    * round(unit_strength * 1e12)::hugeint
                    * round(factor::double * 1e9)::hugeint
        end as total,
        case
            when dose_reason is null
                then
                    round(unit_count * 1e6)::hugeint
                    * round(unit_strength * 1e12)::hugeint
        end as total_units,
        days * 1000000000000000000000::hugeint as total_of_one_micro_mme,
        days * 1000000000000::hugeint as total_of_one_micro_unit
    from judged
),

record_dose as (
    select
        record_id,
        record_kind,
        patient_index,
        ingredient,
        route,
        release,
        start_date,
        order_reason is null as is_in_timeline,
        coalesce(order_reason, dose_reason) as reason,
        $factor_set::varchar as factor_set,
        greatest(start_date, coalesce(start_date + days::integer - 1, end_date)) as end_date,
        case when not is_given then days::integer end as days_supply,
        dose_unit,
        (
            (2 * total_units + total_of_one_micro_unit) // (2 * total_of_one_micro_unit)
        )::bigint as dose_micro_unit,
        (
            (2 * total + total_of_one_micro_mme) // (2 * total_of_one_micro_mme)
        )::bigint as dose_micro_mme
    from exact
)

from record_dose
