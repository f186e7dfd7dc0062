-- What a patient brings to an episode: conditions, drugs, function and how much was seen before.
--
-- Grain:  one row per episode
-- Key:    episode_id
-- Units:  none
-- Scope:  patient
-- Source: code lists of reference.code_list over the look-back; function by the PEG (Krebs 2009, J
--         Gen Intern Med 24:733); left truncation is a design choice
with

inside as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        episode.prior_therapy_days,
        episode.look_back_days,
        feed.has_diagnoses,
        feed.has_encounters,
        feed.has_adjuvants
    from episode.episode as episode
    inner join episode.delivered_feed as feed using (episode_id)
),

coded as (
    select
        inside.episode_id,
        list(distinct concept.concept) as concepts,
        count(distinct concept.concept) filter (
            where starts_with(concept.concept, 'region_') and concept.concept <> 'region_widespread'
        ) as region_count
    from inside
    inner join trajectory.concept_day as concept
        on
            inside.patient_index = concept.patient_index
            and concept.coded_date between inside.index_date - $look_back_days
            and inside.index_date - 1
    group by all
),

-- In supply on the day before: what an index date brings is none of the patient's past.
exposed as (
    select
        inside.episode_id,
        list(distinct exposure.exposure_class) as classes
    from inside
    inner join trajectory.exposure_period as exposure
        on
            inside.patient_index = exposure.patient_index
            and exposure.start_date < inside.index_date
            and exposure.end_date >= inside.index_date - 1
    group by all
),

opioid as (
    select
        inside.episode_id,
        bool_or(interaction.ingredient is not null) as has_prodrug
    from inside
    inner join trajectory.record_dose as record
        on
            inside.patient_index = record.patient_index
            and record.is_in_timeline
            and record.start_date < inside.index_date
            and record.end_date >= inside.index_date - 1
    left join reference.drug_interaction as interaction
        on record.ingredient = interaction.ingredient and interaction.effect = 'cyp2d6_prodrug'
    group by all
),

-- The PEG as delivered, or the mean of its items where all three were asked on one day.
item as (
    select
        patient_index,
        scored_at::date as score_date,
        avg(scale_score) filter (where instrument = 'PEG') as total,
        avg(scale_score) filter (where instrument = 'PEG_PAIN') as pain,
        avg(scale_score) filter (where instrument = 'PEG_ENJOYMENT') as enjoyment,
        avg(scale_score) filter (where instrument = 'PEG_ACTIVITY') as activity
    from trajectory.pain_reading
    where instrument in ('PEG', 'PEG_PAIN', 'PEG_ENJOYMENT', 'PEG_ACTIVITY')
    group by all
),

peg_day as (
    select
        patient_index,
        score_date,
        coalesce(total, (pain + enjoyment + activity) / 3) as peg
    from item
),

peg as (
    select
        inside.episode_id,
        round(avg(peg_day.peg) filter (
            where peg_day.score_date between inside.index_date + $proximal_from_day
            and inside.index_date + $proximal_to_day
        ), 9) as proximal_peg,
        round(avg(peg_day.peg) filter (
            where peg_day.score_date between inside.index_date + $response_from_day
            and inside.index_date + $response_to_day
        ), 9) as response_peg
    from inside
    inner join peg_day
        on
            inside.patient_index = peg_day.patient_index
            and peg_day.score_date between inside.index_date + $proximal_from_day
            and inside.index_date + $response_to_day
    group by all
),

half_year as (
    select
        inside.episode_id,
        count(distinct encounter.start_date >= inside.index_date - $look_back_days // 2)
            as seen_half_years
    from inside
    inner join clean.encounter as encounter
        on
            inside.patient_index = encounter.patient_index
            and encounter.start_date between inside.index_date - $look_back_days
            and inside.index_date - 1
    group by all
),

listed as (
    select
        inside.*,
        case when inside.has_diagnoses then coalesce(coded.concepts, []) end as concepts,
        case when inside.has_diagnoses then coalesce(coded.region_count, 0) end as region_count,
        case when inside.has_adjuvants then coalesce(exposed.classes, []) end as classes,
        coalesce(opioid.has_prodrug, false) as has_prodrug,
        peg.proximal_peg,
        peg.response_peg,
        case
            when inside.has_encounters then coalesce(half_year.seen_half_years, 0) < 2
        end as is_rarely_seen,
        -- Within a bridged gap of the first observed day, nobody knows when therapy began.
        coalesce(
            inside.look_back_days - inside.prior_therapy_days <= $bridge_gap_days, true
        ) as is_therapy_from_start
    from inside
    left join coded using (episode_id)
    left join exposed using (episode_id)
    left join opioid using (episode_id)
    left join peg using (episode_id)
    left join half_year using (episode_id)
),

covariate as (
    select
        episode_id,
        patient_index,
        list_contains(concepts, 'low_back_pain') as has_low_back_pain,
        list_contains(concepts, 'osteoarthritis') as has_osteoarthritis,
        list_contains(concepts, 'rheumatoid_arthritis') as has_rheumatoid_arthritis,
        list_contains(concepts, 'fibromyalgia') as has_fibromyalgia,
        list_contains(concepts, 'neuropathy') as has_neuropathy,
        list_contains(concepts, 'migraine') as has_migraine,
        list_contains(concepts, 'chronic_pain') as has_chronic_pain,
        list_contains(concepts, 'overlapping_pain_condition') as has_overlapping_pain_condition,
        list_contains(concepts, 'region_widespread') as has_widespread_pain,
        region_count,
        list_contains(concepts, 'skin_hypersensitivity') as has_skin_hypersensitivity,
        list_contains(concepts, 'depression') as has_depression,
        list_contains(concepts, 'anxiety') as has_anxiety,
        list_contains(concepts, 'ptsd') as has_ptsd,
        list_contains(concepts, 'insomnia') as has_insomnia,
        list_contains(concepts, 'sleep_apnoea') as has_sleep_apnoea,
        list_contains(concepts, 'opioid_use_disorder') as has_opioid_use_disorder,
        list_contains(concepts, 'opioid_adverse_effect') as has_opioid_adverse_effect,
        list_contains(concepts, 'medication_overuse_headache') as has_medication_overuse_headache,
        list_contains(concepts, 'narcotic_bowel_proxy') as has_bowel_disorder,
        list_contains(concepts, 'bariatric_surgery')
        or list_contains(concepts, 'bariatric_surgery_status') as has_had_bariatric_surgery,
        list_contains(classes, 'benzodiazepine') as has_benzodiazepine,
        list_contains(classes, 'sleep_drug') as has_sleep_drug,
        list_contains(classes, 'gabapentinoid') as has_gabapentinoid,
        list_has_any(classes, ['ssri', 'snri', 'tca', 'other_antidepressant'])
            as has_antidepressant,
        list_contains(classes, 'muscle_relaxant') as has_muscle_relaxant,
        list_contains(classes, 'cyp3a4_inducer') as has_cyp3a4_inducer,
        list_contains(classes, 'cyp3a4_inhibitor') as has_cyp3a4_inhibitor,
        list_contains(classes, 'cyp2d6_inhibitor') and has_prodrug
            as has_cyp2d6_inhibitor_of_prodrug,
        proximal_peg,
        response_peg,
        is_rarely_seen,
        is_therapy_from_start,
        is_rarely_seen or is_therapy_from_start as is_left_truncated
    from listed
)

from covariate
