-- Patients on long-term therapy and how far their dose rose in a year, after Henry 2015.
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: Henry 2015 (Pain Med): a mean dose at least 30 MME higher after a year; the quarters that
--         give both means are a design choice
with

entry as (
    select *
    from trajectory.therapy_month
    where is_long_term and is_quarter_known
    qualify row_number() over (partition by patient_index order by month_number) = 1
),

henry_patient as (
    select
        patient.patient_index,
        entry.start_date as entry_date,
        entry.quarter_mme as before_mme,
        year_later.quarter_mme as after_mme,
        case
            when year_later.is_quarter_known
                then round(year_later.quarter_mme - entry.quarter_mme, 9) >= $henry_min_rise_mme
        end as is_escalated,
        case
            when entry.patient_index is null then 'no_known_dose'
            when year_later.patient_index is null then 'follow_up_too_short'
            when not year_later.is_quarter_known then 'supply_not_covered'
        end as failed_requirement
    from clean.patient as patient
    left join entry using (patient_index)
    left join trajectory.therapy_month as year_later
        on
            patient.patient_index = year_later.patient_index
            and entry.month_number + $henry_days // $month_days = year_later.month_number
)

from henry_patient
