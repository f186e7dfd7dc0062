-- Candidate episodes on long-term therapy, merged where one follows another closely.
--
-- Grain:  one row per patient, kind and index date (first step of a chain)
-- Key:    episode_id
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: merging, linking and leaving out pregnancy, pumps, long stays, long-term care without
--         supply and medication for opioid use disorder are design choices; cancer, palliative
--         care and sickle cell disease are outside CDC 2022 (Dowell 2022, MMWR Recomm Rep 71(3));
--         code lists in reference.code_list
with

-- Whatever begins an episode, told apart by its kind. Sham dates and rises of pain have no new
-- dose.
indexed as (
    select
        patient_index,
        'dose_led' as index_kind,
        increase_date as index_date,
        mean_before_mme,
        mean_after_mme,
        mean_sustained_mme,
        dose_ratio,
        run_start_date,
        run_end_date
    from episode.escalation
    where failed_requirement is null
    union all by name
    select
        patient_index,
        index_kind,
        index_date,
        mean_before_mme,
        mean_after_mme,
        dose_ratio,
        run_start_date,
        run_end_date
    from episode.stable_index
    where failed_requirement is null
),

placed as (
    select
        *,
        index_date - lag(index_date) over earlier as since_last_days,
        round(mean_sustained_mme / lag(mean_sustained_mme) over earlier, 9) as ratio_to_last
    from indexed
    window earlier as (partition by patient_index, index_kind order by index_date)
),

-- A late or early refill soon after a step is an increase, too, and most of its old mean is from
-- before the step: the same step seen again, unless the dose is higher than after the last one.
-- Each sham date of a maintainer was drawn for itself.
step as (
    select
        *,
        lag(index_date) over (partition by patient_index, index_kind order by index_date)
            as previous_date
    from placed
    where
        index_kind = 'sham_maintainer'
        or coalesce(since_last_days >= $merge_days, true)
        or ratio_to_last >= $escalation_min_ratio
),

-- A step less than merge_days after the step before it continues the same chain.
chained as (
    select
        *,
        sum((
            index_kind = 'sham_maintainer'
            or coalesce(index_date - previous_date >= $merge_days, true)
        )::integer) over (partition by patient_index, index_kind order by index_date) as chain
    from step
),

first_step as (
    select *
    from chained
    qualify
        row_number() over (partition by patient_index, index_kind, chain order by index_date) = 1
),

-- A step is known once its new mean dose is: one that begins late in the response window is judged
-- by doses after it, which no feature may see.
step_count as (
    select
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain,
        count(*) as step_count,
        count(*) filter (
            where chained.index_date + $dose_after_days - 1
            <= first_step.index_date + $response_to_day
        ) as known_step_count
    from first_step
    inner join chained
        on
            first_step.patient_index = chained.patient_index
            and first_step.index_kind = chained.index_kind
            and first_step.chain = chained.chain
            and chained.index_date <= first_step.index_date + $response_to_day
    group by all
),

-- The last day before an episode on which the dose was still above that from before the episode
-- before it. Therapy that is back at its old dose for long enough begins anew. A sham date or a
-- rise of pain may lie within a run of one dose.
preceded as (
    select
        patient_index,
        index_kind,
        chain,
        index_date,
        previous_date,
        lag(mean_before_mme) over earlier as preceding_mme
    from first_step
    window earlier as (partition by patient_index, index_kind order by index_date)
),

raised as (
    select
        preceded.patient_index,
        preceded.index_kind,
        preceded.chain,
        max(least(period.end_date, preceded.index_date - 1)) as last_raised_date
    from preceded
    inner join trajectory.dose_period as period
        on
            preceded.patient_index = period.patient_index
            and period.end_date >= preceded.previous_date
            and period.start_date < preceded.index_date
            and period.dose_mme > round(1.1 * preceded.preceding_mme, 9)
    group by all
),

linked as (
    select
        preceded.patient_index,
        preceded.index_kind,
        preceded.chain,
        preceded.previous_date is not null
        and preceded.index_kind <> 'sham_maintainer'
        and (
            preceded.index_date - preceded.previous_date < $link_days
            or coalesce(
                preceded.index_date - raised.last_raised_date - 1,
                preceded.index_date - preceded.previous_date
            ) < $washout_days
        ) as is_linked
    from preceded
    left join raised using (patient_index, index_kind, chain)
),

-- What excludes a patient is looked for in the look-back only: later codes cannot undo an index
-- date. A long stay leaves windows unread on either side of it.
excluding_concept as (
    select
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain,
        min(coded.concept) as concept
    from first_step
    inner join trajectory.concept_day as coded
        on
            first_step.patient_index = coded.patient_index
            and coded.coded_date between first_step.index_date - $look_back_days
            and first_step.index_date - 1
            and coded.concept in (
                'active_cancer', 'palliative_care', 'sickle_cell_disease', 'pregnancy',
                'intrathecal_pump'
            )
    group by all
),

hospice as (
    select distinct
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain
    from first_step
    inner join clean.encounter as encounter
        on
            first_step.patient_index = encounter.patient_index
            and encounter.setting = 'hospice'
            and encounter.start_date < first_step.index_date
            and coalesce(encounter.end_date, encounter.start_date)
            >= first_step.index_date - $look_back_days
),

-- From the index date on, what would have excluded for good ends the follow-up. So does the second
-- operation after the response window: pain between them is read of neither.
ending as (
    select
        patient_index,
        coded_date as ending_date,
        concept
    from trajectory.concept_day
    where concept in ('active_cancer', 'palliative_care', 'surgery')
    union all
    select
        patient_index,
        start_date as ending_date,
        'palliative_care' as concept
    from clean.encounter
    where setting = 'hospice'
),

censoring as (
    select
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain,
        ending.ending_date,
        ending.concept = 'surgery' as is_operation,
        row_number() over (
            partition by
                first_step.patient_index,
                first_step.index_kind,
                first_step.chain,
                ending.concept
            order by ending.ending_date
        ) as ending_number
    from first_step
    inner join ending
        on
            first_step.patient_index = ending.patient_index
            and ending.ending_date >= first_step.index_date
            and (
                ending.concept <> 'surgery'
                or ending.ending_date > first_step.index_date + $response_to_day
            )
),

censored as (
    select
        patient_index,
        index_kind,
        chain,
        min(ending_date) as censor_date
    from censoring
    where ending_number = if(is_operation, 2, 1)
    group by all
),

-- What is given in hospital is neither in the timeline nor scored outside it. A stay has the length
-- that is known when the response window ends.
long_stay as (
    select distinct
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain
    from first_step
    inner join trajectory.inpatient_stay as stay
        on
            first_step.patient_index = stay.patient_index
            and stay.setting = 'inpatient'
            and least(stay.end_date, first_step.index_date + $response_to_day) - stay.start_date + 1
            > $long_stay_days
            and stay.end_date >= first_step.index_date - $look_back_days
),

-- Long-term care as far as the windows reach. What is given there is often recorded nowhere: with
-- no day of supply in it, neither dose nor therapy of the windows is known.
care as (
    select
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain,
        greatest(stay.start_date, first_step.index_date - $look_back_days) as start_date,
        least(stay.end_date, first_step.index_date + $response_to_day) as end_date
    from first_step
    inner join trajectory.inpatient_stay as stay
        on
            first_step.patient_index = stay.patient_index
            and stay.setting = 'long_term_care'
            and stay.start_date <= first_step.index_date + $response_to_day
            and stay.end_date >= first_step.index_date - $look_back_days
),

unseen_care as (
    select distinct
        care.patient_index,
        care.index_kind,
        care.chain
    from care
    anti join trajectory.dose_period as period
        on
            care.patient_index = period.patient_index
            and care.start_date <= period.end_date
            and care.end_date >= period.start_date
    where care.end_date - care.start_date + 1 > $long_stay_days
),

oud_medication as (
    select distinct
        first_step.patient_index,
        first_step.index_kind,
        first_step.chain
    from first_step
    inner join trajectory.record_amount as record
        on
            first_step.patient_index = record.patient_index
            and record.product_use = 'oud_treatment'
            and record.start_date <= first_step.index_date
            and record.end_date >= first_step.index_date - $oud_medication_days
),

-- Follow-up ends with observation, the delivered supply, death or what censors. Therapy that ends
-- within the response window makes the episode unclassifiable (episode_profile); one that ends
-- later is a cut (dechallenge).
followed as (
    select
        first_step.*,
        step_count.step_count,
        step_count.known_step_count,
        linked.is_linked,
        sum((not linked.is_linked)::integer) over (
            partition by first_step.patient_index, first_step.index_kind
            order by first_step.index_date
        ) as linked_run,
        coalesce(
            excluding_concept.concept,
            case when hospice.chain is not null then 'palliative_care' end
        ) as excluding_concept,
        long_stay.chain is not null as has_long_stay,
        unseen_care.chain is not null as has_unseen_care,
        oud_medication.chain is not null as has_oud_medication,
        patient.observation_start_date,
        year(first_step.index_date) - patient.birth_year as age_years,
        least(
            patient.observation_end_date,
            patient.death_date,
            follow_up.last_date,
            censored.censor_date
        ) as follow_up_end_date
    from first_step
    inner join step_count using (patient_index, index_kind, chain)
    inner join linked using (patient_index, index_kind, chain)
    left join excluding_concept using (patient_index, index_kind, chain)
    left join hospice using (patient_index, index_kind, chain)
    left join long_stay using (patient_index, index_kind, chain)
    left join unseen_care using (patient_index, index_kind, chain)
    left join oud_medication using (patient_index, index_kind, chain)
    left join censored using (patient_index, index_kind, chain)
    left join clean.patient as patient using (patient_index)
    left join trajectory.follow_up as follow_up using (patient_index)
),

-- The dose at the end of the reversal window; over a gap that therapy bridges, the last supply.
reversal as (
    select
        followed.patient_index,
        followed.index_kind,
        followed.chain,
        arg_max(period.dose_mme, period.start_date) as dose_then_mme
    from followed
    inner join trajectory.dose_period as period
        on
            followed.patient_index = period.patient_index
            and period.start_date between followed.index_date
            and followed.index_date + $reversal_days
    group by all
),

episode as (
    select
        -- The kind stands in the name of what is not led by the dose.
        followed.patient_index || '-' || followed.index_date
        || case
            when followed.index_kind = 'dose_led' then '' else '-' || followed.index_kind
        end as episode_id,
        followed.patient_index,
        followed.index_kind,
        followed.index_date,
        followed.mean_before_mme as dose_before_mme,
        followed.mean_after_mme as dose_after_mme,
        followed.dose_ratio,
        followed.step_count,
        followed.known_step_count,
        followed.index_date - followed.run_start_date as prior_therapy_days,
        followed.age_years,
        followed.index_date - followed.observation_start_date as look_back_days,
        followed.follow_up_end_date,
        followed.follow_up_end_date - followed.index_date as follow_up_days,
        followed.is_linked,
        first_value(followed.index_date) over (
            partition by followed.patient_index, followed.index_kind, followed.linked_run
            order by followed.index_date
        ) as linked_since_date,
        -- Taken back: to within 110 % of the old dose, or therapy ended.
        followed.index_kind = 'dose_led' and coalesce(
            reversal.dose_then_mme <= round(1.1 * followed.mean_before_mme, 9)
            or followed.run_end_date < followed.index_date + $reversal_days,
            true
        ) as is_reversed,
        case
            when followed.age_years < $adult_age_years then 'under_age'
            when followed.age_years is null then 'age_unknown'
            when
                coalesce(
                    followed.index_date - followed.observation_start_date < $look_back_days, true
                )
                then 'short_look_back'
            when followed.excluding_concept is not null then followed.excluding_concept
            when followed.has_long_stay then 'long_inpatient_stay'
            when followed.has_unseen_care then 'long_term_care_without_supply'
            when followed.has_oud_medication then 'opioid_use_disorder_medication'
        end as excluded_reason
    from followed
    left join reversal using (patient_index, index_kind, chain)
)

from episode
