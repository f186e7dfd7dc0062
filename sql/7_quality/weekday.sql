-- Rows by day of the week.
--
-- Grain:  one row per source, table and day of the week
-- Key:    source, table_name, weekday
-- Units:  rows; 1 is Monday
-- Scope:  cohort
-- Source: quality.event_day; sources with shifted dates have no weekday and no row
with

of_table as (
    select
        source,
        table_name,
        sum(row_count) as row_count
    from quality.event_day
    where not is_shifted
    group by all
),

counted as (
    select
        source,
        table_name,
        isodow(date '1970-01-01' + day_number::integer) as weekday,
        sum(row_count) as row_count
    from quality.event_day
    where not is_shifted
    group by all
),

-- A day of the week without a row is a finding, so all seven stand here.
week as (
    select unnest(range(1, 8)) as weekday
),

weekday as (
    select
        of_table.source,
        of_table.table_name,
        week.weekday,
        coalesce(counted.row_count, 0)::bigint as row_count,
        coalesce(counted.row_count, 0) / of_table.row_count as row_share
    from of_table
    cross join week
    left join counted using (source, table_name, weekday)
)

from weekday
