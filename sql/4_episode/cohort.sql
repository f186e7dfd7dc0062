-- How far each patient gets towards an episode that can be judged.
--
-- Grain:  one row per patient of clean.patient
-- Key:    patient_index
-- Units:  none
-- Scope:  patient
-- Source: requirements in the order of the cohort definition; each flag stands on its own until the
--         escalation, after it each includes the ones before
with

opioid_record as (
    select
        patient_index,
        bool_or(is_in_timeline and dose_micro_mme is not null) as has_known_dose
    from trajectory.record_dose
    group by all
),

-- Masked weeks count: which scores a procedure spoils depends on the episode.
pain as (
    select
        patient_index,
        bool_or(pain_nrs is not null) as has_pain_score,
        count(distinct date_trunc('week', score_date)) filter (
            where pain_nrs is not null and list_contains($pain_settings, setting)
        ) as outpatient_week_count
    from trajectory.pain_day
    group by all
),

therapy as (
    select
        patient_index,
        bool_or(long_term_date is not null) as has_long_term_therapy
    from trajectory.therapy_run
    group by all
),

escalated as (
    select distinct patient_index
    from episode.escalation
    where failed_requirement is null
),

-- A patient counts by the episode that gets furthest.
best_episode as (
    select
        patient_index,
        bool_or(coalesce(excluded_reason not in ('under_age', 'age_unknown'), true)) as is_adult,
        bool_or(
            coalesce(excluded_reason not in ('under_age', 'age_unknown', 'short_look_back'), true)
        ) as has_look_back,
        bool_or(
            coalesce(
                excluded_reason in (
                    'long_inpatient_stay',
                    'long_term_care_without_supply',
                    'opioid_use_disorder_medication'
                ),
                true
            )
        ) as is_in_scope,
        bool_or(
            coalesce(
                excluded_reason in (
                    'long_term_care_without_supply', 'opioid_use_disorder_medication'
                ),
                true
            )
        ) as has_no_long_stay,
        bool_or(coalesce(excluded_reason = 'opioid_use_disorder_medication', true))
            as has_no_unseen_care,
        bool_or(excluded_reason is null) as is_not_excluded,
        bool_or(
            excluded_reason is null
            and coalesce(
                not_classifiable_reason not in ('follow_up_too_short', 'therapy_ended'), true
            )
        ) as has_follow_up,
        bool_or(excluded_reason is null and not_classifiable_reason is null) as is_classifiable
    from episode.episode_change
    where index_kind = 'dose_led'
    group by all
),

-- The baselines B1 and B0 touch, so three windows can share one week.
cohort as (
    select
        patient.patient_index,
        patient.source,
        opioid_record.patient_index is not null as has_opioid_record,
        coalesce(opioid_record.has_known_dose, false) as has_known_dose,
        coalesce(pain.has_pain_score, false) as has_pain_score,
        coalesce(pain.outpatient_week_count >= 3 * $min_scored_weeks - 1, false)
            as has_outpatient_scores,
        coalesce(therapy.has_long_term_therapy, false) as has_long_term_therapy,
        escalated.patient_index is not null as has_escalation,
        coalesce(best_episode.is_adult, false) as is_adult,
        coalesce(best_episode.has_look_back, false) as has_look_back,
        coalesce(best_episode.is_in_scope, false) as is_in_scope,
        coalesce(best_episode.has_no_long_stay, false) as has_no_long_stay,
        coalesce(best_episode.has_no_unseen_care, false) as has_no_unseen_care,
        coalesce(best_episode.is_not_excluded, false) as is_not_excluded,
        coalesce(best_episode.has_follow_up, false) as has_follow_up,
        coalesce(best_episode.is_classifiable, false) as is_classifiable
    from clean.patient as patient
    left join opioid_record using (patient_index)
    left join pain using (patient_index)
    left join therapy using (patient_index)
    left join escalated using (patient_index)
    left join best_episode using (patient_index)
)

from cohort
