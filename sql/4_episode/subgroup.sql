-- What was known of each patient before an episode began, one covariate a row.
--
-- Grain:  one row per episode that is not excluded and covariate
-- Key:    episode_id, covariate
-- Units:  categories; doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: dose bands of CDC 2022 (Dowell 2022, MMWR Recomm Rep 71(3)); PEG after Krebs 2009 (J Gen
--         Intern Med 24:733); other bands are design choices; reference.code_list
with

inside as (
    select
        profile.episode_id,
        profile.patient_index,
        profile.index_date,
        profile.age_years,
        profile.prior_therapy_days,
        profile.proximal_mme,
        profile.proximal_nrs,
        profile.data_grade,
        patient.sex,
        feed.has_diagnoses,
        feed.has_adjuvants
    from episode.episode_profile as profile
    left join clean.patient as patient using (patient_index)
    left join episode.delivered_feed as feed using (episode_id)
    where profile.excluded_reason is null
),

-- The edges of the bands are not targets for anyone's dose.
band as (
    select
        episode_id,
        unnest([
            'dose_before', 'pain_before', 'age', 'sex', 'therapy_before', 'data_grade'
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
            coalesce(data_grade, 'none')
        ]) as category
    from inside
),

coded_name as (
    select
        unnest([
            'low_back_pain', 'osteoarthritis', 'rheumatoid_arthritis', 'fibromyalgia',
            'overlapping_pain_condition', 'neuropathy', 'chronic_pain', 'migraine',
            'opioid_use_disorder', 'depression', 'ptsd', 'anxiety', 'insomnia', 'sleep_apnoea',
            'bariatric_surgery_status', 'skin_hypersensitivity'
        ]) as covariate
),

coded as (
    select distinct
        inside.episode_id,
        concept_day.concept as covariate
    from inside
    inner join trajectory.concept_day as concept_day
        on
            inside.patient_index = concept_day.patient_index
            and concept_day.coded_date
            between inside.index_date - $look_back_days::integer and inside.index_date - 1
),

condition as (
    select
        inside.episode_id,
        coded_name.covariate,
        case
            when coded.episode_id is not null then 'coded'
            when inside.has_diagnoses then 'not coded'
            else 'not delivered'
        end as category
    from inside
    cross join coded_name
    left join coded
        on inside.episode_id = coded.episode_id and coded_name.covariate = coded.covariate
),

region_count as (
    select
        inside.episode_id,
        count(distinct region.region) as regions
    from inside
    inner join trajectory.pain_region_day as region
        on
            inside.patient_index = region.patient_index
            and region.coded_date
            between inside.index_date - $look_back_days::integer and inside.index_date - 1
    group by all
),

region as (
    select
        inside.episode_id,
        'pain_regions' as covariate,
        case
            when region_count.regions >= 3 then '3 and over'
            when region_count.regions is not null then region_count.regions::varchar
            when inside.has_diagnoses then '0'
            else 'not delivered'
        end as category
    from inside
    left join region_count using (episode_id)
),

drug_name as (
    select
        unnest([
            'benzodiazepine', 'gabapentinoid', 'snri', 'tca', 'cyp2d6_inhibitor',
            'cyp3a4_inhibitor', 'cyp3a4_inducer'
        ]) as covariate
),

-- In supply in the quarter before: what was taken a year ago no longer acts.
taken as (
    select distinct
        inside.episode_id,
        exposure.exposure_class as covariate
    from inside
    inner join trajectory.exposure_period as exposure
        on
            inside.patient_index = exposure.patient_index
            and exposure.start_date < inside.index_date
            and exposure.end_date >= inside.index_date + $proximal_from_day
),

drug as (
    select
        inside.episode_id,
        drug_name.covariate,
        case
            when taken.episode_id is not null then 'taken'
            when inside.has_adjuvants then 'not taken'
            else 'not delivered'
        end as category
    from inside
    cross join drug_name
    left join taken
        on inside.episode_id = taken.episode_id and drug_name.covariate = taken.covariate
),

last_peg as (
    select
        inside.episode_id,
        arg_max(score.score, score.scored_at) as peg
    from inside
    inner join clean.pain_score as score
        on
            inside.patient_index = score.patient_index
            and score.instrument = 'PEG'
            and score.score between 0 and 10
            and score.scored_at::date
            between inside.index_date - $look_back_days::integer and inside.index_date - 1
    group by all
),

function_scored as (
    select
        inside.episode_id,
        'function_peg' as covariate,
        case
            when last_peg.peg is null then 'not recorded'
            when last_peg.peg < 4 then 'under 4'
            when last_peg.peg < 7 then '4 to 6'
            else '7 and over'
        end as category
    from inside
    left join last_peg using (episode_id)
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
    from condition
    union all by name
    from region
    union all by name
    from drug
    union all by name
    from function_scored
    union all by name
    from course
)

from subgroup
