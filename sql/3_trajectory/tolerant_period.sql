-- Spans in which a patient took enough of an opioid to count as opioid tolerant.
--
-- Grain:  one row per patient and span
-- Key:    patient_index, start_date
-- Units:  dates
-- Scope:  patient
-- Source: doses of reference.opioid_tolerant_dose (US FDA), for $tolerant_days consecutive days
with

-- An opioid is held against its own dose in its own unit where there is one for its route, and
-- otherwise against the equianalgesic dose.
supply as (
    select
        record.patient_index,
        record.ingredient,
        record.start_date,
        record.end_date,
        coalesce(own.dose_unit, another.dose_unit) as dose_unit,
        coalesce(own.min_daily_dose, another.min_daily_dose) as min_daily_dose,
        case when own.dose_unit is null then record.dose_micro_mme else record.dose_micro_unit end
            as dose_micro
    from trajectory.record_dose as record
    left join reference.opioid_tolerant_dose as own
        on
            record.ingredient = own.ingredient
            and record.route = own.route
            and record.dose_unit = own.dose_unit
    inner join reference.opioid_tolerant_dose as another on another.ingredient = 'any'
    where record.is_in_timeline and record.ingredient is not null
),

-- A dose that is not known adds nothing: what is known beside it may be enough by itself.
change as (
    select
        patient_index,
        ingredient,
        dose_unit,
        min_daily_dose,
        start_date as change_date,
        dose_micro
    from supply
    where dose_micro is not null
    union all
    select
        patient_index,
        ingredient,
        dose_unit,
        min_daily_dose,
        end_date + 1 as change_date,
        -dose_micro as dose_micro
    from supply
    where dose_micro is not null
),

change_of_day as (
    select
        patient_index,
        ingredient,
        dose_unit,
        min_daily_dose,
        change_date,
        sum(dose_micro) as dose_micro
    from change
    group by all
),

running as (
    select
        *,
        sum(dose_micro) over of_opioid as running_micro,
        lead(change_date) over of_opioid as next_change_date
    from change_of_day
    window
        of_opioid as (
            partition by patient_index, ingredient, dose_unit
            order by change_date
            rows between unbounded preceding and current row
        )
),

-- To the third decimal, as the dose timeline rounds: parts of a dose that were rounded to
-- millionths still add up to it.
enough as (
    select
        patient_index,
        change_date as start_date,
        next_change_date - 1 as end_date
    from running
    where (running_micro + 500) // 1000 >= min_daily_dose * 1000 and next_change_date is not null
),

marked as (
    select
        *,
        coalesce(
            start_date > 1 + max(end_date) over (
                partition by patient_index
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as is_new
    from enough
),

numbered as (
    select
        *,
        count_if(is_new) over (
            partition by patient_index
            order by start_date, end_date
            rows between unbounded preceding and current row
        ) as span_number
    from marked
),

span as (
    select
        patient_index,
        min(start_date) as start_date,
        max(end_date) as end_date
    from numbered
    group by patient_index, span_number
),

tolerant_period as (
    select
        patient_index,
        start_date,
        (start_date + ($tolerant_days - 1)::integer) as tolerant_date,
        end_date
    from span
    where end_date - start_date + 1 >= $tolerant_days
)

from tolerant_period
