-- Codes, drug texts and scales in use, and which came or went in the middle of the extract.
--
-- Grain:  one row per source, kind of code and code
-- Key:    source, kind, code
-- Units:  rows and patients
-- Scope:  cohort
-- Source: clean tables; halves are of the time from the first to the last row of that kind.
--         Shifted dates have no halves.
with

-- Said by the study, or plain from dates in a century to come.
shifted as (
    select distinct source
    from quality.date_shift
    where is_shifted
),

used as (
    select
        source,
        'drug_text' as kind,
        drug_text as code,
        patient_index,
        start_date as event_date
    from clean.prescription
    union all
    select
        source,
        'drug_text' as kind,
        drug_text as code,
        patient_index,
        started_at::date as event_date
    from clean.administration
    union all
    select
        source,
        'diagnosis' as kind,
        code_system || ' ' || code as code,
        patient_index,
        diagnosis_date as event_date
    from clean.diagnosis
    union all
    select
        source,
        'procedure' as kind,
        code_system || ' ' || code as code,
        patient_index,
        procedure_date as event_date
    from clean.procedure
    union all
    select
        source,
        'instrument' as kind,
        instrument as code,
        patient_index,
        scored_at::date as event_date
    from clean.pain_score
),

span as (
    select
        source,
        kind,
        min(event_date) as first_date,
        max(event_date) as last_date
    from used
    where source not in (select source from shifted)
    group by all
),

halved as (
    select
        used.source,
        used.kind,
        used.code,
        used.patient_index,
        used.event_date - span.first_date < span.last_date - used.event_date as is_first_half
    from used
    left join span on used.source = span.source and used.kind = span.kind
),

code_use as (
    select
        source,
        kind,
        code,
        count(*) as row_count,
        count(distinct patient_index) as patient_count,
        -- A code of few patients is in one half by chance.
        case
            when count(distinct patient_index) < $min_cell_count then null
            when bool_and(is_first_half) then 'vanished'
            when not bool_or(is_first_half) then 'new'
        end as change
    from halved
    group by all
)

from code_use
