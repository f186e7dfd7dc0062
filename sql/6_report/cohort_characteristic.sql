-- Who the patients are: all delivered, on long-term therapy, and those that can be judged.
--
-- Grain:  one row per characteristic per category
-- Key:    characteristic, category
-- Units:  patients; dose bands in MME per day as in CDC 2022
-- Scope:  cohort
-- Source: clean.patient, trajectory.dose_period; bands from Dowell 2022, MMWR Recomm Rep 71(3)
with

first_day as (
    select
        patient_index,
        min(start_date) as first_date,
        sum(dose_mme * (end_date - start_date + 1)) / sum(end_date - start_date + 1) as mean_mme
    from trajectory.dose_period
    group by all
),

described as (
    select
        cohort.has_opioid_record,
        cohort.has_long_term_therapy,
        cohort.is_classifiable,
        patient.sex,
        year(first_day.first_date) - patient.birth_year as age_years,
        first_day.mean_mme,
        cohort.source
    from episode.cohort as cohort
    left join clean.patient as patient using (patient_index)
    left join first_day using (patient_index)
),

category as (
    select
        has_long_term_therapy,
        is_classifiable,
        unnest(['Sex', 'Age at first opioid', 'Mean dose on therapy', 'Source']) as characteristic,
        unnest([
            coalesce(sex, 'unknown'),
            case
                when not has_opioid_record then 'no opioid'
                when age_years is null then 'unknown'
                when age_years < 18 then 'under 18'
                when age_years < 45 then '18 to 44'
                when age_years < 65 then '45 to 64'
                when age_years < 80 then '65 to 79'
                else '80 and over'
            end,
            case
                when not has_opioid_record then 'no opioid'
                when coalesce(mean_mme, 0) = 0 then 'unknown'
                when mean_mme < 20 then 'under 20 MME'
                when mean_mme < 50 then '20 to 49 MME'
                when mean_mme < 90 then '50 to 89 MME'
                else '90 MME and over'
            end,
            source
        ]) as category
    from described
),

cohort_characteristic as (
    select
        characteristic,
        category,
        count(*) as delivered_patients,
        count(*) filter (where has_long_term_therapy) as long_term_patients,
        count(*) filter (where is_classifiable) as classifiable_patients
    from category
    group by all
)

from cohort_characteristic
