-- How long the supply of each patient was followed up.
--
-- Grain:  one row per patient
-- Key:    patient_index
-- Units:  dates
-- Scope:  patient
-- Source: clean.patient and clean.source_coverage
with

-- Only where a patient's prescriptions count as exposure can supply be seen to end: what is given
-- in hospital ends with the stay, whatever is taken at home.
supplied as (
    select distinct prescription.patient_index
    from clean.prescription as prescription
    inner join trajectory.record_dose as record
        on prescription.prescription_id = record.record_id and record.is_in_timeline
),

feed as (
    select
        source,
        last_date
    from clean.source_coverage
    where table_name = 'prescription'
),

follow_up as (
    select
        patient.patient_index,
        case
            when supplied.patient_index is not null
                then least(patient.observation_end_date, patient.death_date, feed.last_date)
        end as last_date
    from clean.patient as patient
    left join supplied on patient.patient_index = supplied.patient_index
    left join feed on patient.source = feed.source
)

from follow_up
