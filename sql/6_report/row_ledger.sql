-- Where every row went: what entered each step, and every way it left.
--
-- Grain:  one row per step, source, table, outcome and reason
-- Key:    step, source, table_name, outcome, reason
-- Units:  rows
-- Scope:  cohort
-- Source: raw.delivery, raw.quarantine, clean.row_outcome, trajectory.record_dose,
--         clean.pain_score, trajectory.pain_reading and trajectory.pain_day
with

delivery as (
    select
        source,
        table_name,
        sum(delivered_rows) as delivered_rows,
        sum(loaded_rows) as loaded_rows,
        sum(loaded_rows - coalesce(corrected_rows, 0)) as loaded_as_delivered_rows,
        sum(corrected_rows) as corrected_rows,
        sum(replaced_rows) as replaced_rows
    from raw.delivery
    group by all
),

-- The ways that ingest counts as it goes; what is in quarantine is counted there.
delivered_way as (
    select
        source,
        table_name,
        unnest([
            struct_pack(outcome := 'entered', reason := '', row_count := delivered_rows),
            struct_pack(outcome := 'loaded', reason := '', row_count := loaded_as_delivered_rows),
            struct_pack(outcome := 'loaded', reason := 'corrected', row_count := corrected_rows),
            struct_pack(outcome := 'replaced', reason := '', row_count := replaced_rows)
        ]) as way
    from delivery
),

ingest as (
    select
        'ingest' as step,
        source,
        table_name,
        way.outcome,
        way.reason,
        way.row_count
    from delivered_way
    union all
    select
        'ingest' as step,
        source,
        table_name,
        'quarantined' as outcome,
        rule as reason,
        count(*) as row_count
    from raw.quarantine
    where step = 'ingest'
    group by all
),

-- Rows of one delivered table may be looked at more than once: for prescriptions, for adjuvants,
-- for what was given. Each look is a step of its own that every row enters and leaves. The one for
-- the clean table that comes last in the alphabet is called clean, the others by their clean table.
look as (
    select
        *,
        max(table_name) over (partition by source, source_table) as main_table_name
    from clean.row_outcome
),

mapped as (
    select
        source,
        source_table as table_name,
        outcome,
        reason,
        case
            when look.table_name <> look.main_table_name then look.table_name else 'clean'
        end as step,
        sum(row_count) as row_count
    from look
    group by all
),

mapped_once as (
    select
        source,
        table_name
    from mapped
    where step = 'clean'
),

-- A delivered table that drives no mapping is only looked up in: all its rows leave that way.
mapping as (
    select
        'clean' as step,
        source,
        table_name,
        'entered' as outcome,
        '' as reason,
        loaded_rows as row_count
    from delivery
    union all
    select distinct
        mapped.step,
        mapped.source,
        mapped.table_name,
        'entered' as outcome,
        '' as reason,
        delivery.loaded_rows as row_count
    from mapped
    inner join delivery
        on mapped.source = delivery.source and mapped.table_name = delivery.table_name
    where mapped.step <> 'clean'
    union all
    select
        step,
        source,
        table_name,
        outcome,
        reason,
        row_count
    from mapped
    union all
    select
        'clean' as step,
        source,
        table_name,
        'looked_up' as outcome,
        '' as reason,
        loaded_rows as row_count
    from delivery
    anti join mapped_once using (source, table_name)
),

opioid_record as (
    select
        source,
        'prescription' as table_name,
        prescription_id as record_id
    from clean.prescription
    union all
    select
        source,
        'administration' as table_name,
        administration_id as record_id
    from clean.administration
),

-- A record that lost its row in the dose table is missing here, and the ledger does not add up.
dosing as (
    select
        'dose' as step,
        source,
        table_name,
        'entered' as outcome,
        '' as reason,
        count(*) as row_count
    from opioid_record
    group by all
    union all
    select
        'dose' as step,
        record.source,
        record.table_name,
        case
            when not dose.is_in_timeline then 'not_in_timeline'
            when dose.dose_micro_mme is null then 'dose_unknown'
            else 'dose_known'
        end as outcome,
        coalesce(dose.reason, '') as reason,
        count(*) as row_count
    from opioid_record as record
    inner join trajectory.record_dose as dose using (record_id)
    group by all
),

-- Likewise a score that was not read, or one that counts whose day is missing among those of pain.
scoring as (
    select
        'pain' as step,
        source,
        'pain_score' as table_name,
        'entered' as outcome,
        '' as reason,
        count(*) as row_count
    from clean.pain_score
    group by all
    union all
    select
        'pain' as step,
        score.source,
        'pain_score' as table_name,
        case
            when not score.is_counted then 'not_counted'
            when score.pain_nrs is null then 'score_unknown'
            when day.is_masked then 'masked'
            else 'score_known'
        end as outcome,
        coalesce(score.not_counted_reason, score.unknown_reason, '') as reason,
        count(*) as row_count
    from trajectory.pain_reading as score
    left join trajectory.pain_day as day
        on
            score.patient_index = day.patient_index
            and score.scored_at::date = day.score_date
            and score.setting = day.setting
    where not score.is_counted or day.score_date is not null
    group by all
),

row_ledger as (
    from ingest
    union all by name
    from mapping
    union all by name
    from dosing
    union all by name
    from scoring
)

select
    step,
    source,
    table_name,
    outcome,
    reason,
    row_count::bigint as row_count
from row_ledger
where row_count > 0
