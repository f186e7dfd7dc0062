-- Rows by month from the first to the last of each table, months without any among them.
--
-- Grain:  one row per source, table and calendar month between its first and its last
-- Key:    source, table_name, month_start_date
-- Units:  rows
-- Scope:  cohort
-- Source: quality.event_day; sources with shifted dates have no calendar and no row
with

month_count as (
    select
        source,
        table_name,
        date_trunc('month', date '1970-01-01' + day_number::integer)::date as month_start_date,
        sum(row_count)::bigint as row_count
    from quality.event_day
    where not is_shifted
    group by all
),

span as (
    select
        source,
        table_name,
        min(month_start_date) as first_month,
        max(month_start_date) as last_month
    from month_count
    group by all
),

calendar as (
    select
        source,
        table_name,
        unnest(generate_series(first_month, last_month, interval 1 month))::date as month_start_date
    from span
),

coverage_month as (
    select
        calendar.source,
        calendar.table_name,
        calendar.month_start_date,
        coalesce(month_count.row_count, 0) as row_count
    from calendar
    left join month_count using (source, table_name, month_start_date)
)

from coverage_month
