-- What the classifier may know of each episode: nothing dated after the response window.
--
-- Grain:  one row per episode that is neither excluded nor unclassifiable
-- Key:    episode_id
-- Units:  doses in MME per day, pain in NRS points
-- Scope:  patient
-- Source: pre-specified features (design choice); counts of scores and visits are left out
--         because they speak of care seeking (Goldstein, informed presence, JAMIA ocz148)
with

judged as (
    select *
    from episode.episode_change
    where
        index_kind <> 'pain_led'
        and excluded_reason is null
        and not_classifiable_reason is null
),

-- Codes of a category that the look-back did not have: a new region, an injury, a new disease.
code_near as (
    select
        judged.episode_id,
        diagnosis.code_system,
        left(diagnosis.code, 3) as category,
        bool_and(diagnosis.diagnosis_date >= judged.index_date - 30) as is_new
    from judged
    inner join clean.diagnosis as diagnosis
        on
            judged.patient_index = diagnosis.patient_index
            and diagnosis.diagnosis_date between judged.index_date - $look_back_days
            and judged.index_date + $response_to_day
    group by all
),

new_code as (
    select
        episode_id,
        count(*) filter (where is_new) as new_code_count
    from code_near
    group by all
),

feature as (
    select
        judged.episode_id,
        judged.patient_index,
        judged.index_kind,
        log2(judged.response_to_distal_ratio) as log2_dose_ratio_distal,
        log2(judged.response_mme / nullif(judged.proximal_mme, 0)) as log2_dose_ratio_proximal,
        judged.response_mme,
        judged.known_step_count::double as step_count,
        judged.prior_therapy_days::double as prior_therapy_days,
        judged.distal_nrs,
        judged.proximal_nrs,
        judged.early_change_nrs,
        judged.proximal_change_nrs,
        -- Regression to the mean as the settings have it: a feature knows one patient only.
        round(judged.distal_change_nrs - $rtm_slope * judged.baseline_change_nrs, 9)
            as adjusted_change_nrs,
        judged.distal_sd_nrs,
        judged.response_sd_nrs,
        coalesce(new_code.new_code_count, 0)::double as new_code_count
    from judged
    left join new_code using (episode_id)
)

from feature
