-- What happened to dose and pain when the dose was first tapered after an episode.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: taper after Fenton 2019 (JAMA Netw Open, PMC6902834); withdrawal pain is left out after
--         Rieb 2016 (Pain, PMC5113230)
with

response_dose as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        episode.follow_up_end_date,
        dose.mean_mme as response_mme
    from episode.episode as episode
    inner join episode.window_dose as dose
        on episode.episode_id = dose.episode_id and dose.window_name = 'R'
    where episode.excluded_reason is null
),

period as (
    select
        patient_index,
        start_date,
        end_date,
        dose_mme,
        is_lower_bound,
        lag(dose_mme) over (patient_periods) as previous_mme,
        lag(start_date) over (patient_periods) as previous_start_date,
        lag(end_date) over (patient_periods) as previous_end_date,
        case
            when
                not lag(is_lower_bound, 2) over (patient_periods)
                and lag(end_date, 2) over (patient_periods) + 1
                = lag(start_date) over (patient_periods)
                then lag(dose_mme, 2) over (patient_periods)
        end as dose_before_that_mme,
        lead(start_date) over (patient_periods) as next_start_date
    from trajectory.dose_period
    window patient_periods as (partition by patient_index order by start_date)
),

-- Supply that ends for longer than therapy bridges is a cut to nothing, known once the gap is that
-- long.
supply_end as (
    select
        patient_index,
        end_date + 1 as cut_date,
        end_date + 1 + $bridge_gap_days as known_date,
        0 as dose_mme
    from period
    where coalesce(next_start_date - end_date - 1 > $bridge_gap_days, true)
),

-- A cut is a fall of the running dose, over a gap that therapy bridges, too. A fall that only takes
-- back a short rise is none: an early refill's overlap or an acute course has ended.
-- Nor is one to a dose that is not known in full.
dose_cut as (
    select
        patient_index,
        start_date as cut_date,
        start_date as known_date,
        dose_mme
    from period
    where
        dose_mme < previous_mme
        and not is_lower_bound
        and start_date - previous_end_date - 1 <= $bridge_gap_days
        and not coalesce(
            dose_before_that_mme <= dose_mme
            and start_date - previous_start_date <= $bridge_gap_days,
            false
        )
    union all by name
    from supply_end
),

known_dose as (
    select
        patient_index,
        start_date,
        dose_mme
    from period
    where not is_lower_bound
    union all
    select
        patient_index,
        cut_date as start_date,
        dose_mme
    from supply_end
),

-- A rise ends a taper if it lasts longer than such a gap; one from nothing does, however short. The
-- 5 % keep a new strength or package size from counting as one.
dose_rise as (
    select
        patient_index,
        start_date as rise_date
    from known_dose
    qualify
        lag(dose_mme) over (partition by patient_index order by start_date)
        <= round(0.95 * min(dose_mme) over (
            partition by patient_index
            order by (start_date - date '2000-01-01')
            range between current row and $bridge_gap_days following
        ), 9)
),

-- The same 5 % are asked of a cut. Rounded, so that a fall by exactly that is not lost in the last
-- binary digit.
cut_in_confirmation as (
    select
        response.episode_id,
        response.patient_index,
        dose_cut.cut_date
    from response_dose as response
    inner join dose_cut
        on
            response.patient_index = dose_cut.patient_index
            and dose_cut.cut_date between response.index_date + $confirmation_from_day
            and response.index_date + $confirmation_to_day
            and dose_cut.known_date <= response.follow_up_end_date
            and dose_cut.dose_mme <= round(0.95 * response.response_mme, 9)
),

-- Cuts with no rise between them are one taper. A cut that a rise takes back as soon as a short
-- rise is taken back is none.
taper as (
    select
        cut.episode_id,
        next_rise.rise_date,
        min(cut.cut_date) as first_cut_date,
        max(cut.cut_date) as last_cut_date
    from cut_in_confirmation as cut
    asof left join dose_rise as next_rise
        on cut.patient_index = next_rise.patient_index and cut.cut_date < next_rise.rise_date
    where coalesce(next_rise.rise_date - cut.cut_date > $bridge_gap_days, true)
    group by all
),

-- Without a cut, the middle of the confirmation window stands in, so that a comparison exists.
dated as (
    select
        response.*,
        taper.first_cut_date is not null as has_cut,
        taper.rise_date,
        coalesce(
            taper.first_cut_date,
            response.index_date + ($confirmation_from_day + $confirmation_to_day) // 2
        ) as first_cut_date,
        coalesce(
            taper.last_cut_date,
            response.index_date + ($confirmation_from_day + $confirmation_to_day) // 2
        ) as last_cut_date
    from response_dose as response
    left join taper using (episode_id)
),

-- What a cut left is read until the dose is raised again.
measured as (
    select
        *,
        least(last_cut_date + $taper_mean_days, coalesce(rise_date, 'infinity')) as measured_to_date
    from dated
),

supply_after as (
    select
        measured.episode_id,
        measured.last_cut_date,
        round(sum(
            period.dose_mme * (
                least(period.end_date + 1, measured.measured_to_date)
                - greatest(period.start_date, measured.last_cut_date)
            )
        ) / any_value(measured.measured_to_date - measured.last_cut_date), 9) as mean_mme,
        bool_or(period.is_lower_bound) as has_unknown_dose
    from measured
    inner join trajectory.dose_period as period
        on
            measured.patient_index = period.patient_index
            and period.end_date >= measured.last_cut_date
            and period.start_date < measured.measured_to_date
    group by all
),

-- Days without supply are days of no dose, here; days of unknown dose leave the mean unknown.
sized as (
    select
        dated.*,
        case
            when not coalesce(supply_after.has_unknown_dose, false)
                then coalesce(supply_after.mean_mme, 0)
        end as after_cut_mme,
        round(1 - after_cut_mme / nullif(dated.response_mme, 0), 9) as cut_share
    from dated
    left join supply_after using (episode_id, last_cut_date)
),

-- The first taper that informs; without one, one of unknown size, which may have informed.
first_taper as (
    select *
    from sized
    qualify
        row_number() over (
            partition by episode_id
            order by
                coalesce(cut_share >= $taper_min_cut, false) desc,
                cut_share is null desc,
                first_cut_date
        ) = 1
),

-- The dose while pain after the cut is read: one that was raised again is no dechallenge.
supply_kept as (
    select
        taper.episode_id,
        least(taper.last_cut_date + $dechallenge_to_days, taper.follow_up_end_date)
        - (taper.last_cut_date + $withdrawal_days) + 1 as days,
        round(coalesce(sum(
            period.dose_mme * (
                least(
                    period.end_date,
                    taper.last_cut_date + $dechallenge_to_days,
                    taper.follow_up_end_date
                )
                - greatest(period.start_date, taper.last_cut_date + $withdrawal_days) + 1
            )
        ), 0) / days, 9) as mean_mme,
        coalesce(bool_or(period.is_lower_bound), false) as has_unknown_dose
    from first_taper as taper
    left join trajectory.dose_period as period
        on
            taper.patient_index = period.patient_index
            and period.end_date >= taper.last_cut_date + $withdrawal_days
            and period.start_date
            <= least(taper.last_cut_date + $dechallenge_to_days, taper.follow_up_end_date)
    where taper.follow_up_end_date >= taper.last_cut_date + $withdrawal_days
    group by taper.episode_id, taper.last_cut_date, taper.follow_up_end_date
),

pain_week as (
    select
        taper.episode_id,
        day.score_date < taper.first_cut_date as is_before,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from first_taper as taper
    inner join trajectory.pain_day as day
        on
            taper.patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
            and (
                day.score_date between taper.first_cut_date + $proximal_from_day
                and taper.first_cut_date + $proximal_to_day
                or day.score_date between taper.last_cut_date + $withdrawal_days
                and taper.last_cut_date + $dechallenge_to_days
            )
    group by all
),

pain as (
    select
        episode_id,
        round(avg(pain_nrs) filter (where is_before), 9) as before_nrs,
        round(avg(pain_nrs) filter (where not is_before), 9) as after_nrs,
        count(*) filter (where is_before) as before_week_count,
        count(*) filter (where not is_before) as after_week_count
    from pain_week
    group by all
),

dechallenge as (
    select
        taper.episode_id,
        taper.patient_index,
        taper.first_cut_date,
        taper.last_cut_date,
        taper.response_mme,
        taper.after_cut_mme,
        taper.cut_share,
        case when not supply_kept.has_unknown_dose then supply_kept.mean_mme end as kept_mme,
        round(1 - kept_mme / nullif(taper.response_mme, 0), 9) as kept_cut_share,
        taper.has_cut and coalesce(taper.cut_share >= $taper_min_cut, false) as is_taper,
        coalesce(
            taper.follow_up_end_date >= taper.last_cut_date + $withdrawal_days + 90, false
        ) as is_observable,
        pain.before_nrs,
        pain.after_nrs,
        coalesce(pain.before_week_count, 0) as before_week_count,
        coalesce(pain.after_week_count, 0) as after_week_count,
        round(pain.after_nrs - pain.before_nrs, 9) as change_nrs
    from first_taper as taper
    left join supply_kept using (episode_id)
    left join pain using (episode_id)
)

from dechallenge
