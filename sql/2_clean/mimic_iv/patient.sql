-- People in MIMIC-IV.
--
-- Grain:  one row per delivered patient
-- Key:    patient_id
-- Units:  birth_year in the shifted calendar of the patient
-- Scope:  patient
-- Source: MIMIC-IV (doi:10.13026/07hj-2a80 for the demo)
-- Rows:   raw_mimic_iv.patients
with

-- A hospital extract sees a patient only while admitted; between the first admission and the last
-- discharge a later stay would have been delivered, outside of it nothing would.
observed as (
    select
        subject_id,
        min(admittime)::date as observation_start_date,
        max(dischtime)::date as observation_end_date
    from raw_mimic_iv.admissions
    group by subject_id
),

-- Age and year belong together in the shifted calendar. Everyone over 89 is delivered as 91, so
-- their year of birth is too late or too early by an unknown number of years; it is left as is.
patient as (
    select
        observed.observation_start_date,
        observed.observation_end_date,
        patient.dod as death_date,
        'patients' as source_table,
        patient.source_file,
        patient.source_row,
        null as excluded_reason,
        'mimic_iv:' || patient.subject_id as patient_id,
        case patient.gender when 'F' then 'female' when 'M' then 'male' else 'unknown' end as sex,
        patient.anchor_year - patient.anchor_age as birth_year
    from raw_mimic_iv.patients as patient
    left join observed on patient.subject_id = observed.subject_id
)

from patient
