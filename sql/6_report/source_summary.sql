-- What each source delivered: rows and patients of every clean table.
--
-- Grain:  one row per source per kind of record
-- Key:    source, record_kind
-- Units:  rows and patients
-- Scope:  cohort
-- Source: clean tables; the pain scores that the study counts in trajectory.pain_reading
with

record as (
    select
        source,
        patient_index,
        'opioid ' || record_kind as record_kind
    from clean.prescription
    union all
    select
        source,
        patient_index,
        'opioid administration' as record_kind
    from clean.administration
    union all
    select
        source,
        patient_index,
        'adjuvant ' || record_kind as record_kind
    from clean.adjuvant
    union all
    select
        source,
        patient_index,
        'pain score, ' || setting || case when pain_nrs is null then ', unknown' else '' end
            as record_kind
    from trajectory.pain_reading
    where is_counted
    union all
    select
        source,
        patient_index,
        'diagnosis' as record_kind
    from clean.diagnosis
    union all
    select
        source,
        patient_index,
        'procedure' as record_kind
    from clean.procedure
    union all
    select
        source,
        patient_index,
        'encounter, ' || replace(setting, '_', ' ') as record_kind
    from clean.encounter
    union all
    select
        source,
        patient_index,
        'mention in a note' as record_kind
    from clean.note_mention
    union all
    select
        source,
        patient_index,
        'patient' as record_kind
    from clean.patient
),

source_summary as (
    select
        source,
        record_kind,
        count(*) as row_count,
        count(distinct patient_index) as patient_count
    from record
    group by all
)

from source_summary
