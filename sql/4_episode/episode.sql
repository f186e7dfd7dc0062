-- Candidate episodes: escalations on long-term therapy, merged where one follows another closely.
--
-- Grain:  one row per patient per index date (first step of a chain of escalations)
-- Key:    episode_id
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: merging, linking and leaving out pregnancy are design choices; cancer, palliative care
--         and sickle cell disease are outside CDC 2022 (Dowell 2022, MMWR Recomm Rep 71(3)); code
--         lists in reference.code_list
with

escalated as (
    select
        *,
        increase_date - lag(increase_date) over (patient_steps) as since_last_days,
        round(mean_sustained_mme / lag(mean_sustained_mme) over (patient_steps), 9)
            as ratio_to_last
    from episode.escalation
    where failed_requirement is null
    window patient_steps as (partition by patient_index order by increase_date)
),

-- A late or early refill soon after a step is an increase, too, and most of its old mean is from
-- before the step: the same step seen again, unless the dose is higher than after the last one.
step as (
    select
        *,
        lag(increase_date) over (partition by patient_index order by increase_date)
            as previous_date
    from escalated
    where
        coalesce(since_last_days >= $merge_days, true)
        or ratio_to_last >= $escalation_min_ratio
),

-- A step less than merge_days after the step before it continues the same chain.
chained as (
    select
        *,
        sum((coalesce(increase_date - previous_date >= $merge_days, true))::integer)
            over (partition by patient_index order by increase_date) as chain
    from step
),

first_step as (
    select *
    from chained
    qualify row_number() over (partition by patient_index, chain order by increase_date) = 1
),

-- A step is known once its new mean dose is: one that begins late in the response window is judged
-- by doses after it, which no feature may see.
step_count as (
    select
        first_step.patient_index,
        first_step.chain,
        count(*) as step_count,
        count(*) filter (
            where chained.increase_date + $dose_after_days - 1
            <= first_step.increase_date + $response_to_day
        ) as known_step_count
    from first_step
    inner join chained
        on
            first_step.patient_index = chained.patient_index
            and first_step.chain = chained.chain
            and chained.increase_date <= first_step.increase_date + $response_to_day
    group by all
),

-- What excludes a patient is looked for in the look-back only: later codes cannot undo an index
-- date.
excluding_code as (
    select
        first_step.patient_index,
        first_step.chain,
        min(list.concept) as concept
    from first_step
    inner join clean.diagnosis as diagnosis
        on
            first_step.patient_index = diagnosis.patient_index
            and diagnosis.diagnosis_date between first_step.increase_date - $look_back_days
            and first_step.increase_date - 1
    inner join reference.code_list as list
        on
            diagnosis.code_system = list.code_system
            and starts_with(diagnosis.code, list.code_prefix)
            and list.concept in (
                'active_cancer', 'palliative_care', 'sickle_cell_disease', 'pregnancy'
            )
    group by all
),

-- Follow-up ends with observation or death. Therapy that ends within the response window makes the
-- episode unclassifiable (episode_profile); one that ends later is a cut (dechallenge).
followed as (
    select
        first_step.*,
        step_count.step_count,
        step_count.known_step_count,
        excluding_code.concept as excluding_concept,
        patient.observation_start_date,
        year(first_step.increase_date) - patient.birth_year as age_years,
        least(patient.observation_end_date, patient.death_date) as follow_up_end_date
    from first_step
    inner join step_count using (patient_index, chain)
    left join excluding_code using (patient_index, chain)
    left join clean.patient as patient using (patient_index)
),

-- The dose at the end of the reversal window; over a gap that therapy bridges, the last supply.
reversal as (
    select
        followed.patient_index,
        followed.chain,
        arg_max(period.dose_mme, period.start_date) as dose_then_mme
    from followed
    inner join trajectory.dose_period as period
        on
            followed.patient_index = period.patient_index
            and period.start_date between followed.increase_date
            and followed.increase_date + $reversal_days
    group by all
),

episode as (
    select
        followed.patient_index || '-' || followed.increase_date as episode_id,
        followed.patient_index,
        followed.increase_date as index_date,
        followed.mean_before_mme as dose_before_mme,
        followed.mean_after_mme as dose_after_mme,
        followed.dose_ratio,
        followed.step_count,
        followed.known_step_count,
        followed.increase_date - followed.run_start_date as prior_therapy_days,
        followed.age_years,
        followed.increase_date - followed.observation_start_date as look_back_days,
        followed.follow_up_end_date,
        followed.follow_up_end_date - followed.increase_date as follow_up_days,
        coalesce(followed.increase_date - followed.previous_date < $link_days, false) as is_linked,
        -- Taken back: to within 110 % of the old dose, or therapy ended.
        coalesce(
            reversal.dose_then_mme <= round(1.1 * followed.mean_before_mme, 9)
            or followed.run_end_date < followed.increase_date + $reversal_days,
            true
        ) as is_reversed,
        case
            when followed.age_years < $adult_age_years then 'under_age'
            when followed.age_years is null then 'age_unknown'
            when
                coalesce(
                    followed.increase_date - followed.observation_start_date < $look_back_days, true
                )
                then 'short_look_back'
            when followed.excluding_concept is not null then followed.excluding_concept
        end as excluded_reason
    from followed
    left join reversal using (patient_index, chain)
)

from episode
