-- Intervals within patients, which a shift breaks that is not one constant per patient.
--
-- Grain:  one row per source, test and table or pair of tables
-- Key:    source, test, table_name, other_table
-- Units:  patients (span), patient days (same_day), intervals (refill), rows (the others)
-- Scope:  cohort
-- Source: clean tables; a shift by table moves days of one table against those of the others
with

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
),

-- A sample of whole patients shows it as well as all of them do.
patient_day as (
    select distinct
        source,
        patient_index,
        table_name,
        event_date
    from event
    where patient_index < $date_shift_patient_count
),

-- No extract lies in the next century with real dates, but for a slip here and there.
calendar as (
    select
        source,
        list_contains($shifted_sources, source)
        or count_if(event_date >= make_date($shifted_from_year, 1, 1))
        >= (1 - $date_shift_max_share) * count(*) as is_shifted,
        list_contains($shifted_sources, source) as is_said
    from event
    group by source
),

calendar_test as (
    select
        source,
        'calendar' as test,
        '' as table_name,
        '' as other_table,
        1 as at_risk_count,
        if(is_shifted and not is_said, 1, 0) as broken_count
    from calendar
),

-- Whoever was shifted apart from the events was not observed, alive or born at them.
dated as (
    select
        patient_day.*,
        patient.observation_start_date,
        patient.observation_end_date,
        patient.death_date,
        patient.birth_year
    from patient_day
    inner join clean.patient as patient using (patient_index)
),

person_test as (
    select
        source,
        'observation' as test,
        table_name,
        '' as other_table,
        count(*) as at_risk_count,
        count_if(event_date not between observation_start_date and observation_end_date)
            as broken_count
    from dated
    where observation_start_date is not null and observation_end_date is not null
    group by all
    union all
    select
        source,
        'death' as test,
        table_name,
        '' as other_table,
        count(*) as at_risk_count,
        count_if(event_date > death_date + $date_shift_grace_days::integer) as broken_count
    from dated
    where death_date is not null
    group by all
    union all
    select
        source,
        'birth' as test,
        table_name,
        '' as other_table,
        count(*) as at_risk_count,
        count_if(year(event_date) < birth_year) as broken_count
    from dated
    where birth_year is not null
    group by all
),

-- Two tables of one patient that never come within a year of each other.
span as (
    select
        source,
        patient_index,
        table_name,
        min(event_date) as first_date,
        max(event_date) as last_date
    from patient_day
    group by all
),

span_test as (
    select
        one.source,
        'span' as test,
        one.table_name,
        other.table_name as other_table,
        count(*) as at_risk_count,
        count_if(
            one.first_date > other.last_date + 365 or other.first_date > one.last_date + 365
        ) as broken_count
    from span as one
    inner join span as other
        on one.patient_index = other.patient_index and one.table_name < other.table_name
    group by all
),

-- Care that belongs together stands on one day. A table that is moved against another meets it on
-- another day, and if each row is moved for itself no day stands out.
day as (
    select unnest(range(-28, 29)) as day_count
),

moved as (
    select
        one.source,
        one.table_name,
        other.table_name as other_table,
        day.day_count,
        count(*) as met_count
    from patient_day as one
    cross join day
    inner join patient_day as other
        on
            one.patient_index = other.patient_index
            and one.table_name < other.table_name
            and other.event_date = one.event_date + day.day_count::integer
    group by all
),

-- Stays in hospital fill neighbouring days, so only those a week and more away tell a day that
-- stands out. Pairs that never meet have their row, too.
met as (
    select
        span_test.source,
        span_test.table_name,
        span_test.other_table,
        coalesce(max(moved.met_count) filter (moved.day_count = 0), 0) as met_count,
        coalesce(max(moved.met_count) filter (moved.day_count <> 0), 0) as moved_count,
        coalesce(max(moved.met_count) filter (abs(moved.day_count) >= 7), 0) as far_count,
        coalesce(sum(moved.met_count) filter (moved.day_count <> 0), 0) / 56 as usual_count
    from span_test
    left join moved using (source, table_name, other_table)
    group by all
),

same_day_test as (
    select
        source,
        'same_day' as test,
        table_name,
        other_table,
        greatest(met_count, moved_count) as at_risk_count,
        moved_count as broken_count
    from met
),

-- The next fill of a drug is due when the supply ends; if each row is moved for itself, as many
-- come two weeks off.
dispensing as (
    select distinct
        source,
        patient_index,
        drug_text,
        start_date,
        days_supply
    from clean.prescription
    where
        record_kind = 'dispensing'
        and days_supply > 0
        and patient_index < $date_shift_patient_count
),

interval as (
    select
        source,
        lead(start_date)
            over (
                partition by source, patient_index, drug_text order by start_date, days_supply
            )
        - start_date
        - days_supply as late_days
    from dispensing
),

refill as (
    select
        source,
        count_if(late_days between -3 and 3) as due_count,
        greatest(
            count_if(late_days between -17 and -11), count_if(late_days between 11 and 17)
        ) as off_count
    from interval
    where late_days is not null
    group by source
),

refill_test as (
    select
        source,
        'refill' as test,
        'prescription' as table_name,
        '' as other_table,
        greatest(due_count, off_count) as at_risk_count,
        off_count as broken_count
    from refill
),

test as (
    select * from calendar_test
    union all
    select * from person_test
    union all
    select * from span_test
    union all
    select * from same_day_test
    union all
    select * from refill_test
),

judged as (
    select
        test.source,
        calendar.is_shifted,
        test.test,
        test.table_name,
        test.other_table,
        test.at_risk_count,
        test.broken_count,
        test.broken_count / nullif(test.at_risk_count, 0) as broken_share,
        case
            when test.test = 'calendar' then if(test.broken_count > 0, 'broken', 'holds')
            when test.at_risk_count < $date_shift_min_count then 'not_shown'
            -- Of two counts, the other's half or less is what chance brings.
            when test.test = 'refill'
                then if(test.broken_count <= 0.5 * test.at_risk_count, 'holds', 'not_shown')
            when
                test.test = 'same_day'
                and met.met_count = test.at_risk_count
                and met.far_count <= 0.5 * met.met_count
                then 'holds'
            when
                test.test = 'same_day'
                and met.met_count <= 0.5 * met.moved_count
                and met.usual_count <= 0.5 * met.moved_count
                then 'broken'
            when test.test = 'same_day' then 'not_shown'
            when test.broken_count > $date_shift_max_share * test.at_risk_count then 'broken'
            else 'holds'
        end as verdict
    from test
    inner join calendar using (source)
    left join met using (source, table_name, other_table)
)

from judged
