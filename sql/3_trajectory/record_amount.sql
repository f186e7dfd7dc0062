-- What every prescription and administration is of, how much of it, and over how many days.
--
-- Grain:  one row per row of clean.prescription and of clean.administration
-- Key:    record_id
-- Units:  amounts in millionths of a millionth of a millionth (10^-18) of dose_unit, over all days
--         of the record: mg, mcg/h worn x days, or mg per spray
-- Scope:  patient
-- Source: wear of patches in reference.patch_wear, uses of products in reference.product_use; a
--         supply ends days_supply - 1 days after the fill (CDC PDMP indicator); of ordered ranges
--         the higher dose, as the peers that parse orders do (PMC6824516), with both ends beside it
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
        ('ptch', 'PIECE', 1.0), ('film', 'PIECE', 1.0), ('each', 'PIECE', 1.0),
        ('spray', 'PIECE', 1.0), ('loz', 'PIECE', 1.0), ('lozenge', 'PIECE', 1.0),
        ('ea', 'PIECE', 1.0), ('{tbl}', 'PIECE', 1.0), ('{tablet}', 'PIECE', 1.0),
        ('{capsule}', 'PIECE', 1.0), ('{patch}', 'PIECE', 1.0), ('{each}', 'PIECE', 1.0)
    ) as spelling (unit_text, measure, scale)
),

-- An infusion that ends on the stroke of midnight does not touch the next day. An order is in
-- force from its first to its last day. What a number cannot be is unknown, with the reason:
-- a negative quantity is a reversal and nobody knows of what, so its size is never used.
record as (
    select
        prescription_id as record_id,
        record_kind,
        care_setting,
        false as is_given,
        patient_index,
        source,
        drug_text,
        ndc,
        route_text,
        start_date,
        end_date,
        is_oud_treatment,
        strength_unit as strength_unit_text,
        dose_unit as amount_unit_text,
        doses_per_day,
        dose_unknown_reason as amount_unknown_reason,
        quantity_unit as quantity_unit_text,
        case when strength > 0 then strength end as strength,
        strength < 0 as is_strength_negative,
        case when quantity > 0 then quantity end as quantity,
        case
            when quantity < 0 then 'negative_quantity'
            when quantity = 0 then 'zero_quantity'
            when quantity is null then 'no_quantity'
        end as quantity_reason,
        case
            when end_date < start_date then 'end_before_start'
            when days_supply <= 0 then 'days_supply_not_positive'
            when
                coalesce(days_supply, end_date - start_date + 1) > $max_supply_days
                then 'days_supply_out_of_range'
        end as days_reason,
        case
            when days_supply between 1 and $max_supply_days then days_supply
            when
                days_supply is null
                and end_date - start_date + 1 between 1 and $max_supply_days
                then end_date - start_date + 1
            when days_supply is null and end_date is null and $missing_days_supply = 'imputed'
                then $imputed_supply_days
        end as days_supply,
        days_supply is null and end_date is null and $missing_days_supply = 'imputed'
            as is_supply_imputed,
        case when dose_low > 0 then dose_low end as dose_low,
        case when dose_high > 0 then dose_high end as dose_high,
        coalesce(is_as_needed, false) as is_as_needed
    from clean.prescription
    union all by name
    select
        administration_id as record_id,
        'administration' as record_kind,
        true as is_given,
        false as is_supply_imputed,
        patient_index,
        source,
        drug_text,
        route_text,
        started_at::date as start_date,
        amount_unit as amount_unit_text,
        amount_unknown_reason,
        case when amount >= 0 then amount end as quantity,
        case
            when amount < 0 then 'negative_amount'
            when amount is null then coalesce(amount_unknown_reason, 'no_amount')
        end as quantity_reason,
        case
            when ended_at > started_at then (ended_at - interval 1 microsecond)::date
        end as end_date
    from clean.administration
),

-- Records are many and what they are of is few: texts, codes, routes and units are worked out
-- once each.
item as (
    select distinct
        is_given,
        drug_text,
        ndc,
        route_text,
        strength,
        strength_unit_text,
        amount_unit_text,
        quantity_unit_text
    from record
),

product as (
    select
        drug_product.*,
        unit.measure,
        drug_product.strength * unit.scale as measured_strength,
        ' ' || regexp_replace(lower(drug_product.drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from trajectory.drug_product as drug_product
    left join unit on lower(drug_product.strength_unit) = unit.unit_text
),

-- What the product is for: the row that names a word or a form of it wins over one for all of its
-- ingredient.
product_use as (
    select
        product.drug_text,
        arg_max(
            known.product_use,
            2 * (known.word <> 'any')::integer + (known.form <> 'any')::integer
        ) as product_use
    from product
    inner join reference.product_use as known
        on
            product.ingredient = known.ingredient
            and (known.word = 'any' or contains(product.words, ' ' || known.word || ' '))
            and (known.form = 'any' or product.form is not distinct from known.form)
    group by all
),

-- A text that says all is believed; where it does not, the product of its code is.
read as (
    select
        item.*,
        case
            when
                code_product.ingredient is not null
                and (text_product.drug_text is null or text_product.reason is not null)
                then code_product
            else text_product
        end as product,
        drug_code.reason as code_reason
    from item
    left join product as text_product on item.drug_text = text_product.drug_text
    left join trajectory.drug_code as drug_code on item.ndc = drug_code.ndc
    left join product as code_product on drug_code.drug_text = code_product.drug_text
),

-- What was delivered in columns of its own wins over the text. A route that nobody has mapped
-- yet is unknown, even where the text tells one.
described as (
    select
        read.* exclude (product),
        read.product.ingredient,
        read.product.form,
        read.product.release,
        read.product.reason as text_reason,
        read.product.drug_text as product_text,
        read.product.measure as text_measure,
        read.product.measured_strength as text_strength,
        product_use.product_use,
        strength_unit.measure as delivered_measure,
        read.strength * strength_unit.scale as delivered_strength,
        amount_unit.measure as amount_measure,
        amount_unit.scale as amount_scale,
        quantity_unit.measure as quantity_measure,
        case
            when read.route_text is null then read.product.route else route.route
        end as route
    from read
    left join product_use on read.product.drug_text = product_use.drug_text
    left join reference.route as route on lower(trim(read.route_text)) = route.route_text
    left join unit as strength_unit
        on lower(replace(read.strength_unit_text, ' ', '')) = strength_unit.unit_text
    left join unit as amount_unit
        on lower(replace(read.amount_unit_text, ' ', '')) = amount_unit.unit_text
    left join unit as quantity_unit
        on lower(replace(read.quantity_unit_text, ' ', '')) = quantity_unit.unit_text
),

-- Every quantity becomes a count of units and the opioid in one of them: tablets of 5 mg, mL of
-- 2 mg/mL, patches of 25 mcg/h. An amount of 10 mg is ten units of 1 mg; an amount in pieces or
-- mL needs the strength. Doses in mg count alike from pieces and from mL.
measured as (
    select
        *,
        coalesce(delivered_strength, text_strength) as unit_strength,
        replace(
            case when delivered_strength is null then text_measure else delivered_measure end,
            '/ML', ''
        ) as dose_unit,
        coalesce(
            case when delivered_strength is null then text_measure else delivered_measure end
            = 'MG/ML', false
        ) as is_per_ml,
        case
            when amount_measure in ('MG', 'MCG/HR') then amount_scale
            when amount_measure = 'ML' and coalesce(delivered_measure, text_measure) <> 'MG/ML'
                then null
            when amount_measure = 'PIECE' and coalesce(delivered_measure, text_measure) = 'MG/ML'
                then null
            else coalesce(delivered_strength, text_strength)
        end as amount_strength,
        case
            when amount_measure in ('MG', 'MCG/HR') then amount_measure
            else replace(coalesce(delivered_measure, text_measure), '/ML', '')
        end as amount_dose_unit
    from described
),

-- Why the strength of an item is not known, or what its quantity counts. Strengths in text and
-- columns that differ by more than their rounding are believed in neither. A tablet has no strength
-- per mL, and of a liquid with one per piece nobody knows how many mL that piece was; nor whether
-- 473 "each" of a liquid are mL or bottles.
item_strength as (
    select
        *,
        case
            when ingredient is null and text_reason = 'several_opioids' then text_reason
            when ingredient is null then coalesce(code_reason, text_reason, 'text_not_read')
            when route_text is not null and route is null then 'unknown_route'
            when
                strength is not null
                and strength_unit_text is not null
                and delivered_measure is null
                then 'unknown_unit'
            when delivered_strength is not null and delivered_measure <> text_measure
                then 'strength_contradicts_text'
            when
                round(abs(delivered_strength / text_strength - 1), 6) > $strength_tolerance_share
                then 'strength_contradicts_text'
            when
                (delivered_measure = 'MCG/HR' or (strength is null and text_measure = 'MCG/HR'))
                <> (route = 'transdermal')
                then 'unit_does_not_fit'
            when
                is_per_ml
                and form in (
                    'tablet', 'capsule', 'patch', 'film', 'lozenge', 'suppository', 'implant'
                )
                then 'unit_does_not_fit'
        end as item_reason,
        case
            when unit_strength is null then coalesce(text_reason, 'no_strength')
            when dose_unit = 'MG' and not is_per_ml and form in ('solution', 'suspension')
                then 'unit_does_not_fit'
        end as strength_reason,
        case
            when amount_unit_text is null then 'no_amount_unit'
            when amount_measure is null then 'unknown_unit'
            when amount_strength is null and text_strength is null and delivered_strength is null
                then coalesce(text_reason, 'no_strength')
            when amount_strength is null then 'unit_does_not_fit'
        end as amount_unit_reason,
        case
            when quantity_unit_text is null then null
            when quantity_measure is null then 'unknown_unit'
            when quantity_measure not in ('PIECE', 'ML') then 'quantity_unit_does_not_fit'
            when
                (quantity_measure = 'ML')
                <> (is_per_ml or coalesce(form in ('solution', 'suspension', 'injection'), false))
                then 'quantity_unit_does_not_fit'
        end as quantity_unit_reason
    from measured
),

identified as (
    select
        record.* exclude (drug_text),
        coalesce(item.product_text, record.drug_text) as drug_text,
        item.ingredient,
        item.form,
        item.route,
        item.release,
        item.unit_strength,
        item.dose_unit,
        item.amount_strength,
        item.amount_dose_unit,
        item.item_reason,
        item.strength_reason,
        item.amount_unit_reason,
        item.quantity_unit_reason,
        patch_wear.wear_days,
        patch_wear.shortest_wear_days,
        case
            when record.is_oud_treatment then 'oud_treatment' else item.product_use
        end as product_use
    from record
    inner join item_strength as item
        on
            record.is_given = item.is_given
            and record.drug_text is not distinct from item.drug_text
            and record.ndc is not distinct from item.ndc
            and record.route_text is not distinct from item.route_text
            and record.strength is not distinct from item.strength
            and record.strength_unit_text is not distinct from item.strength_unit_text
            and record.amount_unit_text is not distinct from item.amount_unit_text
            and record.quantity_unit_text is not distinct from item.quantity_unit_text
    left join reference.patch_wear as patch_wear on item.ingredient = patch_wear.ingredient
),

-- What was dispensed has a count of units; an order without one is counted by its dose; what was
-- given has an amount.
based as (
    select
        *,
        case
            when is_given then 'given'
            when quantity is null and (dose_high is not null or amount_unknown_reason is not null)
                then 'ordered'
            else 'dispensed'
        end as amount_basis,
        floor(quantity * wear_days) as worn_days
    from identified
),

-- Patches are worn one after the other, wear_days each. Fewer than the days supply calls for last
-- as long as they can be worn, as the CDC files reset it (days = patches x 3). More are still one
-- at a time while each is worn for the shortest time that the labelling knows; beyond that several
-- are worn at once, and what was dispensed is spread over the days. A patch that was put on is
-- worn for its wear_days.
supplied as (
    select
        *,
        case when amount_basis = 'dispensed' then dose_unit else amount_dose_unit end
            as counted_unit,
        case
            when amount_basis = 'dispensed' then unit_strength else amount_strength
        end as counted_strength,
        case
            when is_given and amount_dose_unit = 'MCG/HR' then coalesce(wear_days, 1)
            when is_given then 1 + coalesce(end_date, start_date) - start_date
            when
                amount_basis = 'dispensed' and dose_unit = 'MCG/HR' and worn_days < days_supply
                then greatest(worn_days, 1)::integer
            else days_supply
        end as days
    from based
),

-- Both ends of what was ordered, beside the quantity or in place of it. A patch counts for the days
-- it is worn.
ordered as (
    select
        *,
        case when amount_dose_unit = counted_unit then amount_strength end as ordered_strength,
        case when counted_unit = 'MCG/HR' then wear_days else 1 end * doses_per_day * days
            as ordered_doses,
        ordered_doses * dose_high as ordered_high_count,
        ordered_doses * coalesce(dose_low, dose_high) as ordered_low_count
    from supplied
),

-- Of an order as needed the patient may take nothing: that is its lower end.
counted as (
    select
        *,
        case
            when amount_basis = 'ordered' then ordered_high_count
            when counted_unit <> 'MCG/HR' then quantity
            when is_given then quantity * wear_days
            when quantity * shortest_wear_days <= days_supply then days
            else quantity * wear_days
        end as unit_count,
        case when is_as_needed then 0 else ordered_low_count end as low_count
    from ordered
),

judged as (
    select
        *,
        case
            when ingredient is null or item_reason = 'unknown_route' then item_reason
            when is_given and quantity is null then quantity_reason
            when item_reason is not null and item_reason <> 'unknown_unit' then item_reason
            when is_strength_negative then 'negative_strength'
            when item_reason is not null then item_reason
            when amount_basis = 'dispensed' and strength_reason is not null then strength_reason
            when amount_basis = 'dispensed' and quantity_unit_reason is not null
                then quantity_unit_reason
            when amount_basis = 'ordered' and amount_unknown_reason is not null
                then amount_unknown_reason
            when amount_basis <> 'dispensed' and amount_unit_reason is not null
                then amount_unit_reason
            when days_reason is not null then days_reason
            when days is null then 'no_days_supply'
            when amount_basis = 'ordered' and doses_per_day is null then 'no_dose_frequency'
            when amount_basis = 'dispensed' and quantity is null then quantity_reason
            when counted_unit = 'MCG/HR' and wear_days is null then 'unit_does_not_fit'
        end as reason
    from counted
),

-- Count (to 10^-6) and strength (to 10^-12) as whole numbers multiply without a rounding. An
-- amount of more than 10^15 units is a fault of the data and would not fit.
exact as (
    select
        *,
        reason is null and unit_count * counted_strength < 1e15 as is_exact,
        round(counted_strength * 1e12) as strength_pico
    from judged
),

record_amount as (
    select
        record_id,
        record_kind,
        care_setting,
        patient_index,
        source,
        drug_text,
        ingredient,
        route,
        form,
        release,
        product_use,
        start_date,
        days::integer as days,
        amount_basis,
        is_supply_imputed,
        quantity,
        counted_unit as dose_unit,
        counted_strength as unit_strength,
        case
            when reason is not null then reason
            when not coalesce(is_exact, false) then 'dose_out_of_range'
        end as reason,
        case
            when is_given then greatest(start_date, start_date + days::integer - 1)
            when days is null then greatest(start_date, coalesce(end_date, start_date))
            else start_date + days::integer - 1
        end as end_date,
        case when not is_given then days::integer end as days_supply,
        case
            when is_exact then round(unit_count * 1e6)::hugeint * strength_pico::hugeint
        end as total_amount,
        case
            when is_exact and low_count * ordered_strength < 1e15
                then round(low_count * 1e6)::hugeint * round(ordered_strength * 1e12)::hugeint
        end as low_total_amount,
        case
            when is_exact and ordered_high_count * ordered_strength < 1e15
                then
                    round(ordered_high_count * 1e6)::hugeint
                    * round(ordered_strength * 1e12)::hugeint
        end as high_total_amount
    from exact
)

from record_amount
