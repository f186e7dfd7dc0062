-- What each record of a drug beside opioids is, how long it lasts and what a day of it holds.
--
-- Grain:  one row per record of clean.adjuvant and ingredient in it
-- Key:    adjuvant_id, ingredient
-- Units:  daily_mg in mg per day; dates
-- Scope:  patient
-- Source: classes of reference.adjuvant_name and reference.adjuvant_exception
with

-- Records are many and their texts are few. The route counts as a word of the text.
item as (
    select
        drug.drug_text,
        drug.route_text,
        ' ' || regexp_replace(
            lower(concat_ws(' ', drug.drug_text, route.route)), '[^a-z]+', ' ', 'g'
        ) || ' ' as words,
        try_cast(
            regexp_extract(lower(drug.drug_text), '([0-9]+\.?[0-9]*|\.[0-9]+) *mg([^/a-z]|$)', 1)
            as double
        ) as text_mg
    from (
        select distinct
            drug_text,
            route_text
        from clean.adjuvant
    ) as drug
    left join reference.route as route on lower(trim(drug.route_text)) = route.route_text
),

-- An exception for the ingredient comes before one for its class.
classified as (
    select
        item.drug_text,
        item.route_text,
        item.text_mg,
        name.ingredient,
        coalesce(
            arg_min(
                exception.drug_class,
                (exception.applies_to <> name.ingredient, exception.drug_class)
            ),
            min(name.drug_class)
        ) as drug_class
    from item
    inner join reference.adjuvant_name as name
        on contains(item.words, ' ' || name.word || ' ')
    left join reference.adjuvant_exception as exception
        on
            exception.applies_to in (name.ingredient, name.drug_class)
            and contains(item.words, ' ' || exception.word || ' ')
    group by all
),

-- What a day holds, in mg: handed out over its days, or ordered.
adjuvant_dose as (
    select
        record.adjuvant_id,
        record.patient_index,
        record.start_date,
        classified.ingredient,
        classified.drug_class,
        case
            when record.days_supply between 1 and 3660
                then record.start_date + record.days_supply - 1
            else record.end_date
        end as end_date,
        case
            when record.record_kind = 'dispensing' and record.days_supply between 1 and 3660
                then
                    nullif(record.quantity, 0) / record.days_supply
                    * case
                        when record.strength is null then classified.text_mg
                        when lower(record.strength_unit) = 'mg' then nullif(record.strength, 0)
                    end
            when lower(record.dose_unit) = 'mg' then record.dose_high * record.doses_per_day
            when record.dose_unit is not null
                then
                    case
                        when regexp_matches(lower(record.dose_unit), '^(tab|cap)')
                            then record.dose_high * record.doses_per_day * classified.text_mg
                    end
        end as daily_mg
    from clean.adjuvant as record
    inner join classified
        on
            record.drug_text = classified.drug_text
            and record.route_text is not distinct from classified.route_text
)

from adjuvant_dose
