-- Clinical concepts that were coded for a patient, by day.
--
-- Grain:  one row per patient, day and concept
-- Key:    patient_index, coded_date, concept
-- Units:  dates
-- Scope:  patient
-- Source: diagnoses and procedures by the prefixes of reference.code_list; operations by
--         reference.surgery_code
with

coded as (
    select
        patient_index,
        diagnosis_date as coded_date,
        code_system,
        code
    from clean.diagnosis
    union all
    select
        patient_index,
        procedure_date as coded_date,
        code_system,
        code
    from clean.procedure
),

-- Records are many and their codes are few, so each code is looked up once.
code as (
    select distinct
        code_system,
        code
    from coded
),

listed as (
    select
        code.code_system,
        code.code,
        list.concept
    from code
    inner join reference.code_list as list
        on code.code_system = list.code_system and starts_with(code.code, list.code_prefix)
),

-- An injection for pain stands among the operations of CPT; it is none.
operation as (
    select distinct
        code.code_system,
        code.code,
        'surgery' as concept
    from code
    inner join reference.surgery_code as surgery
        on
            code.code_system = surgery.code_system
            and regexp_full_match(code.code, surgery.code_pattern)
    anti join listed
        on
            code.code_system = listed.code_system
            and code.code = listed.code
            and listed.concept = 'injection'
),

meaning as (
    select
        code_system,
        code,
        concept
    from listed
    union all
    select
        code_system,
        code,
        concept
    from operation
),

concept_day as (
    select distinct
        coded.patient_index,
        coded.coded_date,
        meaning.concept
    from coded
    inner join meaning
        on coded.code_system = meaning.code_system and coded.code = meaning.code
)

from concept_day
