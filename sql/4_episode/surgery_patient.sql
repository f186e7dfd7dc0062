-- Opioid-naive patients who had an operation, and whether they filled opioids long after it.
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  dates
-- Scope:  patient
-- Source: new persistent use is a fill in days 90 to 180 after an operation (definitions compared
--         in Anesthesiology 2020;132:1528); who is naive, and which fills belong to the operation,
--         are design choices
with

feed as (
    select
        source,
        coalesce(bool_or(is_delivered) filter (where table_name = 'procedure'), false)
            as has_procedures
    from clean.source_coverage
    group by all
),

supply as (
    select
        patient_index,
        start_date,
        end_date
    from trajectory.record_dose
    where is_in_timeline
),

operation as (
    select
        acute.patient_index,
        acute.event_date as surgery_date,
        coalesce(
            bool_or(
                supply.end_date >= acute.event_date - $look_back_days::integer
                and supply.start_date < acute.event_date - $perioperative_before_days::integer
            ),
            false
        ) as has_earlier_supply,
        coalesce(
            bool_or(
                supply.start_date
                between acute.event_date - $perioperative_before_days::integer
                and acute.event_date + $perioperative_after_days::integer
            ),
            false
        ) as has_perioperative_fill,
        coalesce(
            bool_or(
                supply.start_date
                between acute.event_date + $persistent_from_day::integer
                and acute.event_date + $persistent_to_day::integer
            ),
            false
        ) as is_persistent
    from trajectory.acute_event as acute
    left join supply on acute.patient_index = supply.patient_index
    where acute.kind = 'surgery'
    group by acute.patient_index, acute.event_date
),

-- A patient counts by the first operation as a naive patient, or else by the first operation.
first_operation as (
    select *
    from operation
    qualify
        row_number() over (
            partition by patient_index order by has_earlier_supply, surgery_date
        ) = 1
),

surgery_patient as (
    select
        patient.patient_index,
        first_operation.surgery_date,
        first_operation.is_persistent,
        case
            when not coalesce(feed.has_procedures, false) then 'procedures_not_delivered'
            when first_operation.patient_index is null then 'no_operation'
            when
                coalesce(
                    first_operation.surgery_date - patient.observation_start_date
                    < $look_back_days,
                    true
                )
                then 'short_look_back'
            when first_operation.has_earlier_supply then 'not_naive'
            when not first_operation.has_perioperative_fill then 'no_fill_around_operation'
            when
                coalesce(
                    follow_up.last_date
                    < first_operation.surgery_date + $persistent_to_day::integer,
                    true
                )
                then 'follow_up_too_short'
        end as failed_requirement
    from clean.patient as patient
    left join feed on patient.source = feed.source
    left join first_operation using (patient_index)
    left join trajectory.follow_up as follow_up using (patient_index)
)

from surgery_patient
