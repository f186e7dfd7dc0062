-- What was known of each patient before an episode began, one covariate a row.
--
-- Grain:  one row per episode that is not excluded and covariate
-- Key:    episode_id, covariate
-- Units:  categories; doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: episode.covariate; dose bands of CDC 2022 (Dowell 2022, MMWR Recomm Rep 71(3)); other
--         bands are design choices
with

inside as (
    select
        change.episode_id,
        change.age_years,
        change.prior_therapy_days,
        change.proximal_mme,
        change.proximal_nrs,
        change.data_grade,
        patient.sex,
        covariate.* exclude (episode_id, patient_index)
    from episode.episode_change as change
    inner join episode.covariate as covariate using (episode_id)
    left join clean.patient as patient on change.patient_index = patient.patient_index
    where change.excluded_reason is null
),

-- The edges of the bands are not targets for anyone's dose.
band as (
    select
        episode_id,
        unnest([
            'dose_before', 'pain_before', 'age', 'sex', 'therapy_before', 'data_grade',
            'pain_regions', 'function_peg', 'time_before'
        ]) as covariate,
        unnest([
            case
                when proximal_mme is null then 'unknown'
                when proximal_mme < 20 then 'under 20 MME'
                when proximal_mme < 50 then '20 to 49 MME'
                when proximal_mme < 90 then '50 to 89 MME'
                else '90 MME and over'
            end,
            case
                when proximal_nrs is null then 'unknown'
                when proximal_nrs < 4 then 'under 4'
                when proximal_nrs < 7 then '4 to 6'
                else '7 and over'
            end,
            case
                when age_years is null then 'unknown'
                when age_years < 45 then 'under 45'
                when age_years < 65 then '45 to 64'
                else '65 and over'
            end,
            coalesce(sex, 'unknown'),
            case
                when prior_therapy_days < 365 then 'under 1 year'
                when prior_therapy_days < 730 then '1 year'
                else '2 years and over'
            end,
            coalesce(data_grade, 'none'),
            case
                when region_count is null then 'not delivered'
                when region_count >= 3 then '3 and over'
                else region_count::varchar
            end,
            case
                when proximal_peg is null then 'not recorded'
                when proximal_peg < 4 then 'under 4'
                when proximal_peg < 7 then '4 to 6'
                else '7 and over'
            end,
            case
                when is_left_truncated is null then 'unknown'
                when is_left_truncated then 'not seen in full'
                else 'seen in full'
            end
        ]) as category
    from inside
),

coded as (
    select
        episode_id,
        unnest([
            'low_back_pain', 'osteoarthritis', 'rheumatoid_arthritis', 'fibromyalgia',
            'overlapping_pain_condition', 'widespread_pain', 'neuropathy', 'chronic_pain',
            'migraine', 'skin_hypersensitivity', 'opioid_use_disorder', 'opioid_adverse_effect',
            'medication_overuse_headache', 'bowel_disorder', 'depression', 'ptsd', 'anxiety',
            'insomnia', 'sleep_apnoea', 'had_bariatric_surgery'
        ]) as covariate,
        unnest([
            has_low_back_pain, has_osteoarthritis, has_rheumatoid_arthritis, has_fibromyalgia,
            has_overlapping_pain_condition, has_widespread_pain, has_neuropathy, has_chronic_pain,
            has_migraine, has_skin_hypersensitivity, has_opioid_use_disorder,
            has_opioid_adverse_effect, has_medication_overuse_headache, has_bowel_disorder,
            has_depression, has_ptsd, has_anxiety, has_insomnia, has_sleep_apnoea,
            has_had_bariatric_surgery
        ]) as is_coded
    from inside
),

taken as (
    select
        episode_id,
        unnest([
            'benzodiazepine', 'sleep_drug', 'gabapentinoid', 'antidepressant', 'muscle_relaxant',
            'cyp3a4_inducer', 'cyp3a4_inhibitor', 'cyp2d6_inhibitor_of_prodrug'
        ]) as covariate,
        unnest([
            has_benzodiazepine, has_sleep_drug, has_gabapentinoid, has_antidepressant,
            has_muscle_relaxant, has_cyp3a4_inducer, has_cyp3a4_inhibitor,
            has_cyp2d6_inhibitor_of_prodrug
        ]) as is_taken
    from inside
),

-- How the episode itself stands to others, and whether its increase stayed. Where no dose was
-- raised none can be taken back.
course as (
    select
        episode_id,
        'linked' as covariate,
        if(is_linked, 'linked', 'not linked') as category
    from episode.episode
    where excluded_reason is null
    union all
    select
        episode_id,
        'increase_kept' as covariate,
        if(
            is_reversed,
            'taken back within ' || $reversal_days::integer || ' days',
            'kept for ' || $reversal_days::integer || ' days'
        ) as category
    from episode.episode
    where excluded_reason is null and index_kind = 'dose_led'
),

subgroup as (
    from band
    union all by name
    select
        episode_id,
        covariate,
        case
            when is_coded is null then 'not delivered'
            when is_coded then 'coded'
            else 'not coded'
        end as category
    from coded
    union all by name
    select
        episode_id,
        covariate,
        case
            when is_taken is null then 'not delivered'
            when is_taken then 'taken'
            else 'not taken'
        end as category
    from taken
    union all by name
    from course
)

from subgroup
