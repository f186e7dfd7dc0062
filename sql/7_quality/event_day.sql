-- Rows of every clean table by day: what coverage and weekdays are read from.
--
-- Grain:  one row per source, table and day with rows
-- Key:    source, table_name, day_number
-- Units:  rows; days since 1970-01-01 or, where dates are shifted, since the patient's first record
-- Scope:  cohort
-- Source: clean tables of events
with

-- Said by the study, or plain from dates in a century to come.
shifted as (
    select distinct source
    from quality.date_shift
    where is_shifted
),

event as (
    select
        source,
        patient_index,
        'prescription' as table_name,
        start_date as event_date
    from clean.prescription
    union all
    select
        source,
        patient_index,
        'administration' as table_name,
        started_at::date as event_date
    from clean.administration
    union all
    select
        source,
        patient_index,
        'adjuvant' as table_name,
        start_date as event_date
    from clean.adjuvant
    union all
    select
        source,
        patient_index,
        'pain_score' as table_name,
        scored_at::date as event_date
    from clean.pain_score
    union all
    select
        source,
        patient_index,
        'diagnosis' as table_name,
        diagnosis_date as event_date
    from clean.diagnosis
    union all
    select
        source,
        patient_index,
        'procedure' as table_name,
        procedure_date as event_date
    from clean.procedure
    union all
    select
        source,
        patient_index,
        'encounter' as table_name,
        start_date as event_date
    from clean.encounter
    union all
    select
        source,
        patient_index,
        'note_mention' as table_name,
        mention_date as event_date
    from clean.note_mention
),

-- A shift that differs from patient to patient leaves nothing of the calendar but intervals within
-- one patient.
shifted_patient as (
    select
        patient_index,
        min(event_date) as first_date
    from event
    where source in (select source from shifted)
    group by all
),

numbered as (
    select
        event.source,
        event.table_name,
        shifted_patient.first_date is not null as is_shifted,
        date_diff('day', coalesce(shifted_patient.first_date, date '1970-01-01'), event.event_date)
            as day_number
    from event
    left join shifted_patient using (patient_index)
),

event_day as (
    select
        source,
        table_name,
        is_shifted,
        day_number,
        count(*) as row_count
    from numbered
    group by all
)

from event_day
