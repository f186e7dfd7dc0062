-- Mean dose of each episode in each of its windows.
--
-- Grain:  one row per episode per window, also where nothing was in supply
-- Key:    episode_id, window_name
-- Units:  MME per day
-- Scope:  patient
-- Source: mean over days in supply or over all days of the window, as the study says; definitions
--         2 and 3 of Dasgupta 2021, Clin J Pain 37:565
with

overlap as (
    select
        win.episode_id,
        win.window_name,
        period.dose_mme,
        period.is_lower_bound,
        least(win.end_date, period.end_date)
        - greatest(win.start_date, period.start_date) + 1 as days
    from episode.episode_window as win
    inner join trajectory.dose_period as period
        on
            win.patient_index = period.patient_index
            and period.start_date <= win.end_date
            and period.end_date >= win.start_date
),

summed as (
    select
        episode_id,
        window_name,
        sum(dose_mme * days) as dose_mme_days,
        sum(days) as covered_days,
        coalesce(sum(days) filter (where is_lower_bound), 0) as lower_bound_days,
        max(dose_mme) as max_mme
    from overlap
    group by all
),

-- Rounded, because the last digit of a sum depends on the order in which threads add up.
window_dose as (
    select
        win.episode_id,
        win.patient_index,
        win.window_name,
        coalesce(summed.covered_days, 0)::integer as covered_days,
        coalesce(summed.lower_bound_days, 0)::integer as lower_bound_days,
        summed.max_mme,
        round(
            summed.dose_mme_days / case $dose_definition
                when 'on_therapy_days' then summed.covered_days
                else win.end_date - win.start_date + 1
            end,
            9
        ) as mean_mme
    from episode.episode_window as win
    left join summed using (episode_id, window_name)
)

from window_dose
