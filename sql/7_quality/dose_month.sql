-- Daily dose of opioid records by month.
--
-- Grain:  one row per source, kind of record and month
-- Key:    source, record_kind, month_number
-- Units:  MME a day; months since January 1970 or, where dates are shifted, months of $month_days
--         days since the patient's first opioid record
-- Scope:  cohort
-- Source: trajectory.record_dose; records outside the timeline are left out
with

-- Said by the study, or plain from dates in a century to come.
shifted as (
    select distinct source
    from quality.date_shift
    where is_shifted
),

record as (
    select
        amount.source,
        dose.record_kind,
        dose.patient_index,
        dose.start_date,
        dose.dose_micro_mme / 1000000 as dose_mme,
        amount.source in (select source from shifted) as is_shifted
    from trajectory.record_dose as dose
    inner join trajectory.record_amount as amount on dose.record_id = amount.record_id
    where dose.is_in_timeline
),

shifted_patient as (
    select
        patient_index,
        min(start_date) as first_date
    from record
    where is_shifted
    group by all
),

numbered as (
    select
        record.source,
        record.record_kind,
        record.is_shifted,
        record.dose_mme,
        case
            when record.is_shifted
                then date_diff('day', shifted_patient.first_date, record.start_date) // $month_days
            else date_diff('month', date '1970-01-01', record.start_date)
        end as month_number
    from record
    left join shifted_patient on record.patient_index = shifted_patient.patient_index
),

dose_month as (
    select
        source,
        record_kind,
        is_shifted,
        month_number,
        count(*) as record_count,
        count(*) - count(dose_mme) as unknown_count,
        quantile_cont(dose_mme, 0.25) as lower_quartile_mme,
        median(dose_mme) as median_mme,
        quantile_cont(dose_mme, 0.75) as upper_quartile_mme,
        quantile_cont(dose_mme, 0.95) as high_mme
    from numbered
    group by all
)

from dose_month
