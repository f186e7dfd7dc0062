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

-- An infusion that ends on the stroke of midnight does not touch the next day.
record as (
    select
        prescription_id as record_id,
        record_kind,
        patient_index,
        source,
        drug_text,
        route_text,
        start_date,
        end_date,
        quantity,
        nullif(strength, 0) as strength,
        strength_unit as unit_text,
        case when days_supply > 0 then days_supply end as days_supply
    from clean.prescription
    union all by name
    select
        administration_id as record_id,
        'administration' as record_kind,
        patient_index,
        source,
        drug_text,
        route_text,
        started_at::date as start_date,
        case when ended_at > started_at then (ended_at - interval 1 microsecond)::date end as end_date,
        amount as quantity,
        amount_unit as unit_text
    from clean.administration
),

text_strength as (
    select
        product.*,
        unit.measure,
        product.strength * unit.scale as measured_strength
    from trajectory.drug_product as product
    left join unit on lower(product.strength_unit) = unit.unit_text
),

-- What was delivered in columns of its own wins over the text. A route nobody has mapped yet is
-- unknown, even where the text tells one.
described as (
    select
        record.*,
        product.ingredient,
        product.form,
        product.release,
        product.reason as text_reason,
        product.measure as text_measure,
        product.measured_strength as text_strength,
        unit.measure as delivered_measure,
        unit.scale as delivered_scale,
        case when record.route_text is null then product.route else route.route end as route,
        record.strength is not null and record.unit_text is not null as is_strength_delivered
    from record
    left join text_strength as product on record.drug_text = product.drug_text
    left join reference.route as route on lower(trim(record.route_text)) = route.route_text
    left join unit on lower(replace(record.unit_text, ' ', '')) = unit.unit_text
),

-- Every amount becomes a number of units and the opioid in one unit: tablets of 5 mg, mL of
-- 2 mg/mL, patches of 25 mcg/h. An amount given in mg is that many units of 1 mg. A strength
-- that text and columns tell apart by more than the rounding of printed strengths (1 %) is
-- believed in neither.
measured as (
    select
        *,
        case
            when record_kind = 'administration' and delivered_measure in ('PIECE', 'ML')
                then text_strength
            when record_kind = 'administration' then delivered_scale
            when is_strength_delivered then strength * delivered_scale
            else text_strength
        end as unit_strength,
        case
            when record_kind <> 'administration'
                then if(is_strength_delivered, delivered_measure, text_measure)
            when delivered_measure = 'ML' then if(text_measure = 'MG/ML', 'MG/ML', 'NONE')
            when delivered_measure = 'PIECE' then if(text_measure = 'MG/ML', 'NONE', text_measure)
            else delivered_measure
        end as measure,
        case
            when record_kind = 'administration' and unit_text is null then 'no_amount_unit'
            when (record_kind = 'administration' or is_strength_delivered)
                and delivered_measure is null
                then 'unknown_unit'
            when is_strength_delivered and text_strength is not null
                and (
                    text_measure <> delivered_measure
                    or abs(strength * delivered_scale - text_strength) > 0.01 * text_strength
                )
                then 'strength_contradicts_text'
        end as unit_reason
    from described
),

-- Doses by mouth count in mg whether they come as pieces or in mL.
counted as (
    select
        * exclude (measure),
        if(measure = 'MG/ML', 'MG', measure) as dose_unit
    from measured
),

-- Of the rows of the set that fit a product, the one that says most about it.
factor_of_product as (
    select
        product.*,
        factor.factor,
        factor.wear_days,
        factor.shortest_wear_days
    from (select distinct ingredient, route, form, dose_unit from counted) as product
    inner join reference.mme_factor as factor
        on
            factor.factor_set = $factor_set
            and product.ingredient = factor.ingredient
            and (factor.route = 'any' or product.route = factor.route)
            and (factor.form = 'any' or product.form = factor.form)
            and (factor.dose_unit = 'any' or product.dose_unit = factor.dose_unit)
    qualify row_number() over (
        partition by product.ingredient, product.route, product.form, product.dose_unit
        order by factor.route = 'any', factor.form = 'any', factor.dose_unit = 'any'
    ) = 1
),

factor_route as (
    select distinct
        ingredient,
        route
    from reference.mme_factor
    where factor_set = $factor_set
),

-- An order is no exposure where the source delivers what was given or dispensed.
source_kind as (
    select
        source,
        bool_or(is_exposure) as has_exposure_feed
    from (
        select
            source,
            is_delivered as is_exposure
        from clean.source_coverage
        where table_name = 'administration'
        union all
        select distinct
            source,
            record_kind = 'dispensing' as is_exposure
        from clean.prescription
    ) as feed
    group by source
),

-- Patches are worn one after the other, each for wear_days (72 hours for fentanyl): fewer than the
-- days supply needs last as long as they are worn, as the CDC files reset it (days = patches x 3).
-- More are still one at a time while each is worn for the shortest time the labelling knows (48
-- hours). Beyond that several are worn at once, and what was dispensed is spread over the days.
-- The factor is per mcg/h worn and never the one per patch dispensed, which has the days in it.
supplied as (
    select
        counted.*,
        factor.factor,
        factor.ingredient is not null as has_factor_row,
        case
            when counted.record_kind = 'administration'
                then if(
                    counted.dose_unit = 'MCG/HR' and factor.wear_days is not null,
                    factor.wear_days,
                    1 + coalesce(counted.end_date, counted.start_date) - counted.start_date
                )
            when counted.quantity * factor.wear_days between 1 and counted.days_supply
                then floor(counted.quantity * factor.wear_days)::integer
            else counted.days_supply
        end as days,
        case
            when counted.dose_unit <> 'MCG/HR' then counted.quantity
            when counted.record_kind = 'administration' then counted.quantity * factor.wear_days
            when counted.quantity * factor.wear_days <= counted.days_supply
                then floor(counted.quantity * factor.wear_days)
            when counted.quantity * factor.shortest_wear_days <= counted.days_supply
                then counted.days_supply
            else counted.quantity * factor.wear_days
        end as unit_count
    from counted
    left join factor_of_product as factor
        on
            counted.ingredient = factor.ingredient
            and counted.route is not distinct from factor.route
            and counted.form is not distinct from factor.form
            and counted.dose_unit is not distinct from factor.dose_unit
),

-- The MME of the whole record as whole millionths: exact below 2^53, and above it no dose.
totalled as (
    select
        *,
        unit_count * unit_strength * (factor * 1000000)::double as micro_mme
    from supplied
),

judged as (
    select
        record.*,
        coalesce(source_kind.has_exposure_feed, false) as has_exposure_feed,
        case
            when record.ingredient is null then coalesce(record.text_reason, 'text_not_read')
            when record.has_factor_row and record.factor is null then 'not_converted'
            when record.ingredient not in (select ingredient from factor_route)
                then 'no_factor_for_ingredient'
            when record.route is null
                then if(record.route_text is null, 'no_route', 'unknown_route')
            when not exists (
                select 1
                from factor_route
                where
                    factor_route.ingredient = record.ingredient
                    and factor_route.route in ('any', record.route)
            ) then 'no_factor_for_route'
            when record.record_kind = 'administration' and record.quantity is null
                then 'no_amount'
            when record.unit_reason is not null then record.unit_reason
            when record.unit_strength is null then coalesce(record.text_reason, 'no_strength')
            when not record.has_factor_row then 'unit_does_not_fit_route'
            when record.days is null then 'no_days_supply'
            when record.record_kind <> 'administration' and coalesce(record.quantity, 0) = 0
                then 'no_quantity'
            when coalesce(not record.micro_mme < 1e15, true) then 'dose_out_of_range'
        end as dose_reason,
        case
            when record.record_kind <> 'order' then null
            when source_kind.has_exposure_feed then 'order_not_exposure'
            when record.days_supply is null then 'order_without_days_supply'
        end as order_reason
    from totalled as record
    left join source_kind on record.source = source_kind.source
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
        greatest(start_date, coalesce(start_date + days - 1, end_date, start_date)) as end_date,
        case when record_kind <> 'administration' then days end as days_supply,
        case
            when dose_reason is null then (round(micro_mme)::bigint + days // 2) // days
        end as dose_micro_mme,
        order_reason is null as is_in_timeline,
        coalesce(order_reason, dose_reason) as reason,
        $factor_set as factor_set
    from judged
)

from record_dose
