-- Pain at the beginning and at the end of each supply near an index date.
--
-- Grain:  one row per episode that is not excluded, per day on which a supply began
-- Key:    episode_id, start_date
-- Units:  pain in NRS points
-- Scope:  patient
-- Source: design choice: the first $early_supply_days and the last $late_supply_days days of a
--         supply; withdrawal between doses after Wilson 2021 (Pain Manag 11:405)
with

-- What begins on one day is one supply; it is over when the next one begins.
supply as (
    select
        patient_index,
        start_date,
        max(end_date) as end_date
    from trajectory.record_dose
    where is_in_timeline and record_kind <> 'administration' and days_supply is not null
    group by all
),

followed as (
    select
        *,
        lead(start_date) over (partition by patient_index order by start_date) as next_start_date
    from supply
),

-- Supplies that lie between the proximal baseline and the end of the response window, and are long
-- enough for a beginning and an end. Who refills early never sees the last days of a supply.
cycle as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        followed.start_date,
        followed.end_date,
        followed.end_date - $late_supply_days + 1 as late_start_date,
        least(followed.end_date, followed.next_start_date - 1) as late_end_date
    from episode.episode as episode
    inner join followed
        on
            episode.patient_index = followed.patient_index
            and followed.start_date >= episode.index_date + $proximal_from_day
            and followed.end_date <= episode.index_date + $response_to_day
            and followed.end_date - followed.start_date + 1
            >= $early_supply_days + $late_supply_days
    where episode.excluded_reason is null
),

-- Read as it was known at the end of the response window: a later operation masks nothing.
scored as (
    select
        cycle.episode_id,
        cycle.start_date,
        avg(day.pain_nrs) filter (
            where day.score_date < cycle.start_date + $early_supply_days
        ) as early_nrs,
        avg(day.pain_nrs) filter (
            where day.score_date between cycle.late_start_date and cycle.late_end_date
        ) as late_nrs
    from cycle
    inner join trajectory.pain_day as day
        on
            cycle.patient_index = day.patient_index
            and day.score_date between cycle.start_date and cycle.end_date
            and list_contains($pain_settings, day.setting)
            and (
                not day.is_masked or day.masked_by_date > cycle.index_date + $response_to_day
            )
            and day.pain_nrs is not null
    group by all
),

refill_cycle as (
    select
        cycle.episode_id,
        cycle.patient_index,
        cycle.start_date,
        cycle.end_date,
        round(scored.early_nrs, 9) as early_nrs,
        round(scored.late_nrs, 9) as late_nrs,
        round(scored.late_nrs - scored.early_nrs, 9) as rise_nrs
    from cycle
    left join scored using (episode_id, start_date)
)

from refill_cycle
