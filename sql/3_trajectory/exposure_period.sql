-- Spans in which a patient was exposed to a drug that opposes, spares or changes opioids.
--
-- Grain:  one row per patient, class, ingredient and span of days
-- Key:    patient_index, exposure_class, ingredient, start_date
-- Units:  dates
-- Scope:  patient
-- Source: classes of reference.adjuvant_name and reference.adjuvant_exception; effects of
--         reference.drug_interaction; low-dose naltrexone up to $low_dose_naltrexone_mg mg a day
--         after Toljan 2018 (Med Sci 6:82)
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

-- What a day holds, in mg: handed out over its days, or ordered. Only naltrexone asks for it.
measured as (
    select
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
),

-- Naltrexone of unknown dose keeps a class of its own: it is neither low nor full.
adjuvant as (
    select
        patient_index,
        ingredient,
        start_date,
        case
            when drug_class <> 'naltrexone' or daily_mg is null or daily_mg = 0 then drug_class
            when round(daily_mg, 9) <= $low_dose_naltrexone_mg then 'low_dose_naltrexone'
            else 'full_dose_naltrexone'
        end as exposure_class,
        greatest(start_date, coalesce(end_date, start_date)) as end_date,
        end_date is not null as is_end_known
    from measured
),

-- A drug that is there for something else may change how opioids are metabolised, too, unless it is
-- used where it is put. Opioids that are an exposure of their own have a class of their own name.
exposure as (
    select
        patient_index,
        exposure_class,
        ingredient,
        start_date,
        end_date,
        is_end_known
    from adjuvant
    union all
    select
        adjuvant.patient_index,
        interaction.effect as exposure_class,
        adjuvant.ingredient,
        adjuvant.start_date,
        adjuvant.end_date,
        adjuvant.is_end_known
    from adjuvant
    inner join reference.drug_interaction as interaction
        on adjuvant.ingredient = interaction.ingredient
    where
        adjuvant.exposure_class <> interaction.effect
        and not starts_with(adjuvant.exposure_class, 'local_')
    union all
    select
        record.patient_index,
        name.drug_class as exposure_class,
        record.ingredient,
        record.start_date,
        record.end_date,
        record.record_kind = 'administration' or record.days_supply is not null as is_end_known
    from trajectory.record_dose as record
    inner join reference.adjuvant_name as name on record.ingredient = name.word
    where record.is_in_timeline
),

marked as (
    select
        *,
        coalesce(
            start_date > 1 + max(end_date) over (
                partition by patient_index, exposure_class, ingredient
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as is_new
    from exposure
),

numbered as (
    select
        *,
        count_if(is_new) over (
            partition by patient_index, exposure_class, ingredient
            order by start_date, end_date
            rows between unbounded preceding and current row
        ) as span_number
    from marked
),

exposure_period as (
    select
        patient_index,
        exposure_class,
        ingredient,
        min(start_date) as start_date,
        max(end_date) as end_date,
        bool_and(is_end_known) as is_end_known
    from numbered
    group by patient_index, exposure_class, ingredient, span_number
)

from exposure_period
