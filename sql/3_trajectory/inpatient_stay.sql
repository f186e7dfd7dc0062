-- Stays in hospital and in long-term care, transfers joined.
--
-- Grain:  one row per patient, setting and stay
-- Key:    patient_index, setting, start_date
-- Units:  dates; stay_days in days, first and last one included
-- Scope:  patient
-- Source: clean.encounter; stays that follow within $stay_merge_days are one, as the ETL of OHDSI
--         has it
with

-- An end that is missing, or before the start, is not known: one day is all that can be said.
stay as (
    select
        patient_index,
        setting,
        start_date,
        greatest(start_date, coalesce(end_date, start_date)) as end_date,
        coalesce(end_date >= start_date, false) as is_end_known
    from clean.encounter
    where setting in ('inpatient', 'long_term_care')
),

marked as (
    select
        *,
        coalesce(
            start_date - max(end_date) over (
                partition by patient_index, setting
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ) > $stay_merge_days,
            true
        ) as is_new
    from stay
),

numbered as (
    select
        *,
        count_if(is_new) over (
            partition by patient_index, setting
            order by start_date, end_date
            rows between unbounded preceding and current row
        ) as stay_number
    from marked
),

inpatient_stay as (
    select
        patient_index,
        setting,
        min(start_date) as start_date,
        max(end_date) as end_date,
        max(end_date) - min(start_date) + 1 as stay_days,
        bool_and(is_end_known) as is_end_known
    from numbered
    group by patient_index, setting, stay_number
)

from inpatient_stay
