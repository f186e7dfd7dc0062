-- Pain came and went with the supply, or withdrawal was coded or treated.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; counts
-- Scope:  cohort
-- Source: Wilson 2021, Pain Manag 11:405 (withdrawal hurts when an opioid wears off); Rieb 2016,
--         Pain, PMC5113230 (for about two weeks); thresholds are design choices
-- Rule:   any of five within 90 days of the index date: pain late in the supply above that early
--         in it, over two or more cycles; a gap in supply with a rise that is over after
--         resumption; an abrupt cut with a rise that is over by withdrawal_days; a code of opioid
--         withdrawal; clonidine, lofexidine or tizanidine begun within
--         withdrawal_drug_days of a cut or gap
-- Settings: abrupt_min_fall, early_supply_days, late_supply_days
-- Unseen: what was taken, and supply that nobody recorded
with

inside as (
    select
        episode_id,
        patient_index,
        index_date,
        follow_up_days
    from episode.episode
    where excluded_reason is null
),

-- Part 1: late in the supply it hurts more than early.
cycle as (
    select
        episode_id,
        count(rise_nrs) as cycle_count,
        round(avg(rise_nrs), 9) as cycle_rise_nrs
    from episode.refill_cycle
    group by all
),

-- Parts 2 and 3: a gap in supply, or an abrupt cut. Both are known, and over, by the end of the
-- response window.
supply as (
    select
        patient_index,
        end_date + 1 as gap_date,
        lead(start_date) over (partition by patient_index order by start_date) as resumption_date
    from trajectory.dose_period
),

interruption as (
    select
        inside.episode_id,
        inside.patient_index,
        inside.index_date,
        supply.gap_date as event_date,
        supply.gap_date + $gap_rise_days - 1 as rise_to_date,
        greatest(supply.gap_date + $gap_rise_days, supply.resumption_date) as after_from_date,
        supply.resumption_date + $withdrawal_days as after_to_date
    from inside
    inner join supply
        on
            inside.patient_index = supply.patient_index
            and supply.gap_date >= inside.index_date + $proximal_from_day
            and supply.resumption_date <= inside.index_date + $response_to_day
            and supply.resumption_date - supply.gap_date >= $supply_gap_days
    union all
    select
        inside.episode_id,
        inside.patient_index,
        inside.index_date,
        event.event_date,
        event.event_date + $cut_rise_days - 1 as rise_to_date,
        event.event_date + $cut_rise_days as after_from_date,
        event.event_date + $withdrawal_days as after_to_date
    from inside
    inner join trajectory.opioid_event as event
        on
            inside.patient_index = event.patient_index
            and event.event = 'abrupt_cut'
            and event.definition = 'default'
            and event.event_date >= inside.index_date + $proximal_from_day
            and event.end_date <= inside.index_date + $response_to_day
),

-- Read as it was known at the end of the response window: a later operation masks nothing.
course as (
    select
        interruption.episode_id,
        interruption.event_date,
        interruption.after_to_date,
        avg(day.pain_nrs) filter (where day.score_date < interruption.event_date) as before_nrs,
        avg(day.pain_nrs) filter (
            where day.score_date between interruption.event_date and interruption.rise_to_date
        ) as during_nrs,
        avg(day.pain_nrs) filter (
            where day.score_date >= interruption.after_from_date
        ) as after_nrs,
        count(distinct date_trunc('week', day.score_date)) filter (
            where day.score_date < interruption.event_date
        ) as before_week_count,
        count(distinct date_trunc('week', day.score_date)) filter (
            where day.score_date between interruption.event_date and interruption.rise_to_date
        ) as during_week_count
    from interruption
    inner join trajectory.pain_day as day
        on
            interruption.patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and (
                not day.is_masked
                or day.masked_by_date > interruption.index_date + $response_to_day
            )
            and day.pain_nrs is not null
            and day.score_date between interruption.event_date - $withdrawal_days
            and least(interruption.after_to_date, interruption.index_date + $response_to_day)
    group by all
),

-- A rise that does not pass when supply is back, or by the end of withdrawal, is not withdrawal.
resolved as (
    select
        episode_id,
        max(round(during_nrs - before_nrs, 9)) as interruption_rise_nrs,
        bool_or(
            round(during_nrs - before_nrs, 9) >= $withdrawal_rise_nrs
            and round(during_nrs - before_nrs, 9) >= $weak_se * $within_person_sd_nrs
            * sqrt(1 / before_week_count + 1 / during_week_count)
        ) as has_withdrawn
    from course
    where round(after_nrs - before_nrs, 9) <= $withdrawal_resolved_nrs
    group by all
),

-- Part 4: withdrawal was coded.
coded as (
    select
        episode_id,
        event_day,
        margin_days,
        unread_reason
    from episode.nearest_event
    where kind = 'opioid_withdrawal'
),

-- Part 5: a drug that is given against withdrawal was begun around a cut or a gap.
started as (
    select
        patient_index,
        start_date
    from trajectory.exposure_period
    where exposure_class = 'alpha2_agonist'
    qualify
        coalesce(
            start_date - max(end_date) over (
                partition by patient_index, exposure_class
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ) > $new_drug_days,
            true
        )
),

treated as (
    select
        interruption.episode_id,
        min(abs(started.start_date - interruption.event_date)) as days_apart
    from interruption
    inner join started
        on
            interruption.patient_index = started.patient_index
            and started.start_date between interruption.index_date + $proximal_from_day
            and interruption.index_date + $response_to_day
    group by all
),

measured as (
    select
        inside.episode_id,
        coalesce(cycle.cycle_count, 0) as cycle_count,
        cycle.cycle_rise_nrs,
        resolved.interruption_rise_nrs,
        coded.event_day,
        coded.margin_days,
        treated.days_apart,
        coalesce(
            cycle.cycle_count >= $min_supply_cycles
            and cycle.cycle_rise_nrs >= $withdrawal_rise_nrs
            and cycle.cycle_rise_nrs
            >= $weak_se * $within_person_sd_nrs * sqrt(2 / cycle.cycle_count),
            false
        )
        or coalesce(resolved.has_withdrawn, false)
        or coalesce(coded.margin_days >= 0, false)
        or coalesce(treated.days_apart <= $withdrawal_drug_days, false) as is_withdrawal,
        case
            when coalesce(cycle.cycle_count, 0) < $min_supply_cycles then 'no_late_scores'
            when coded.unread_reason is not null then coded.unread_reason
            when not feed.has_adjuvants then 'no_adjuvant_feed'
        end as unread_reason
    from inside
    inner join episode.delivered_feed as feed using (episode_id)
    left join cycle using (episode_id)
    left join resolved using (episode_id)
    left join coded using (episode_id)
    left join treated using (episode_id)
),

vote as (
    select
        episode_id,
        'LF09' as rule,
        case
            when is_withdrawal then 'WD'
            when unread_reason is not null then 'ABSTAIN'
            else 'NONE'
        end as vote,
        case when is_withdrawal then 'weak' end as strength,
        case when not is_withdrawal then unread_reason end as abstain_reason,
        [
            {
                'name': 'late less early in the supply',
                'value': cycle_rise_nrs,
                'threshold': $withdrawal_rise_nrs::double,
                'margin': cycle_rise_nrs - $withdrawal_rise_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'supplies scored early and late',
                'value': cycle_count::double,
                'threshold': $min_supply_cycles::double,
                'margin': (cycle_count - $min_supply_cycles)::double,
                'unit': 'cycle'
            },
            {
                'name': 'largest rise in a gap or after a cut that passed',
                'value': interruption_rise_nrs,
                'threshold': $withdrawal_rise_nrs::double,
                'margin': interruption_rise_nrs - $withdrawal_rise_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'day of coded withdrawal',
                'value': event_day::double,
                'threshold': $response_to_day::double,
                'margin': margin_days::double,
                'unit': 'day'
            },
            {
                'name': 'drug against withdrawal, days from a cut or gap',
                'value': days_apart::double,
                'threshold': $withdrawal_drug_days::double,
                'margin': ($withdrawal_drug_days - days_apart)::double,
                'unit': 'day'
            }
        ] as evidence
    from measured
)

from vote
