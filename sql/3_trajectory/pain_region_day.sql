-- Where a patient's pain was, by the codes of each day that is not one of an injury.
--
-- Grain:  one row per patient, day and region
-- Key:    patient_index, coded_date, region
-- Units:  dates
-- Scope:  patient
-- Source: concepts region_... and overlapping_pain_condition of reference.clinical_concept
with

-- On a day with an injury a new place that hurts is the injury's, whatever else is coded.
pain_region_day as (
    select
        pain.patient_index,
        pain.coded_date,
        regexp_replace(pain.concept, '^region_', '') as region
    from trajectory.concept_day as pain
    anti join trajectory.concept_day as injury
        on
            pain.patient_index = injury.patient_index
            and pain.coded_date = injury.coded_date
            and injury.concept = 'injury'
    where starts_with(pain.concept, 'region_') or pain.concept = 'overlapping_pain_condition'
)

from pain_region_day
