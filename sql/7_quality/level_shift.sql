-- Months whose level is far from those around them, and months at which a new level begins.
--
-- Grain:  one row per source, what is measured and month with a finding
-- Key:    source, series, measure, month_number, finding
-- Units:  those of the measure: MME a day, points of a scale, shares or rows; months since
--         January 1970
-- Scope:  cohort
-- Source: quality.dose_month, quality.score_month, quality.event_day; a robust rule: outside
--         $level_shift_mads median absolute deviations, and by $level_shift_min_share of the level.
--         Shifted dates have no months to compare.
with

event_month as (
    select
        source,
        table_name,
        date_diff('month', date '1970-01-01', date '1970-01-01' + day_number::integer)
            as month_number,
        sum(row_count) as row_count
    from quality.event_day
    where not is_shifted
    group by all
),

dose_or_score as (
    select
        source,
        record_kind as series,
        'median_mme' as measure,
        month_number,
        median_mme as level,
        record_count - unknown_count as row_count
    from quality.dose_month
    where not is_shifted
    union all
    select
        source,
        record_kind as series,
        'unknown_share' as measure,
        month_number,
        unknown_count / record_count as level,
        record_count as row_count
    from quality.dose_month
    where not is_shifted
    union all
    select
        source,
        instrument as series,
        'mean_score' as measure,
        month_number,
        mean_score as level,
        score_count - unknown_count as row_count
    from quality.score_month
    where not is_shifted
    union all
    select
        source,
        instrument as series,
        'zero_share' as measure,
        month_number,
        zero_count / nullif(score_count - unknown_count, 0) as level,
        score_count - unknown_count as row_count
    from quality.score_month
    where not is_shifted
    union all
    select
        source,
        instrument as series,
        'unknown_share' as measure,
        month_number,
        unknown_count / score_count as level,
        score_count as row_count
    from quality.score_month
    where not is_shifted
),

-- A month of few rows swings by chance. A month with hardly any row is a finding of its own where
-- rows are what is measured, save the first and the last, which a delivery may cut.
judged as (
    select
        source,
        series,
        measure,
        month_number,
        level
    from dose_or_score
    where row_count >= $level_shift_min_rows and level is not null
    union all
    select
        source,
        table_name as series,
        'row_count' as measure,
        month_number,
        row_count::double as level
    from event_month
    qualify
        month_number > min(month_number) over (partition by source, table_name)
        and month_number < max(month_number) over (partition by source, table_name)
        and median(row_count) over (partition by source, table_name) >= $level_shift_min_rows
),

-- What a level of its kind may differ by chance: a small share by some points, a count by its root.
tolerated as (
    select
        *,
        case
            when measure = 'row_count' then $level_shift_mads * sqrt(level)
            when ends_with(measure, '_share') then $level_shift_min_points
            else 0
        end as tolerance
    from judged
),

-- Medians and median deviations do not follow the very month that is to be found.
compared as (
    select
        *,
        abs(level - lag(level) over (partition by source, series, measure order by month_number))
            as change,
        count(*) over around as neighbour_count,
        median(level) over around as neighbour_level,
        mad(level) over around as neighbour_deviation,
        count(*) over before as before_count,
        median(level) over before as before_level,
        mad(level) over before as before_deviation,
        count(*) over since as since_count,
        median(level) over since as since_level,
        mad(level) over since as since_deviation
    from tolerated
    window
        around as (
            partition by source, series, measure order by month_number
            range between $level_shift_months preceding and $level_shift_months following
            exclude current row
        ),
        before as (
            partition by source, series, measure order by month_number
            range between $level_shift_months preceding and 1 preceding
        ),
        since as (
            partition by source, series, measure order by month_number
            range between current row and $level_shift_months following
        )
),

outlier as (
    select
        source,
        series,
        measure,
        month_number,
        'single_month' as finding,
        level,
        neighbour_level as expected_level
    from compared
    where
        neighbour_count >= $level_shift_months
        and abs(level - neighbour_level) > greatest(
            $level_shift_mads * neighbour_deviation,
            $level_shift_min_share * abs(neighbour_level),
            tolerance
        )
),

step as (
    select
        source,
        series,
        measure,
        month_number,
        'new_level' as finding,
        since_level as level,
        before_level as expected_level
    from compared
    where
        least(before_count, since_count) >= $level_shift_months
        and abs(since_level - before_level) > greatest(
            $level_shift_mads * greatest(before_deviation, since_deviation),
            $level_shift_min_share * abs(before_level),
            tolerance
        )
    -- The months beside a step see it, too; it begins where the month itself changes most.
    qualify change = max(change) over (
        partition by source, series, measure order by month_number
        range between $level_shift_months preceding and $level_shift_months following
    )
),

level_shift as (
    from outlier
    union all by name
    from step
)

from level_shift
