-- How often each whole score was given: preferred digits and zeros.
--
-- Grain:  one row per source, scale and whole score from 0 to 10, and one for all other scores
-- Key:    source, instrument, score_text
-- Units:  scores
-- Scope:  cohort
-- Source: trajectory.pain_reading, in NRS points or, where a scale never stands beside the NRS, its
--         own; scores without a number are left out
with

known as (
    select
        source,
        instrument,
        case
            when coalesce(pain_nrs, scale_score) in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
                then coalesce(pain_nrs, scale_score)::integer::varchar
            else 'other'
        end as score_text
    from trajectory.pain_reading
    where scale_score is not null
),

of_instrument as (
    select
        source,
        instrument,
        count(*) as score_count
    from known
    group by all
),

-- A score that nobody gives is a finding, so every one stands here.
score as (
    select unnest(list_append(range(0, 11)::varchar[], 'other')) as score_text
),

counted as (
    select
        source,
        instrument,
        score_text,
        count(*) as score_count
    from known
    group by all
),

score_value as (
    select
        of_instrument.source,
        of_instrument.instrument,
        score.score_text,
        coalesce(counted.score_count, 0) as score_count,
        coalesce(counted.score_count, 0) / of_instrument.score_count as score_share
    from of_instrument
    cross join score
    left join counted using (source, instrument, score_text)
)

from score_value
