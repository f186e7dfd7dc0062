-- Spans in which a patient was exposed to a drug that opposes, spares or changes opioids.
--
-- Grain:  one row per patient, class, ingredient and span of days
-- Key:    patient_index, exposure_class, ingredient, start_date
-- Units:  dates
-- Scope:  patient
-- Source: classes of trajectory.adjuvant_dose; effects of reference.drug_interaction; low-dose
--         naltrexone up to $low_dose_naltrexone_mg mg a day after Toljan 2018 (Med Sci 6:82)
with

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
    from trajectory.adjuvant_dose
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
