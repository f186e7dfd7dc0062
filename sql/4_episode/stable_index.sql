-- Days without a rise of the dose, each with the first requirement of an index date it fails.
--
-- Grain:  one row per patient, kind and day of episode.index_dose
-- Key:    patient_index, index_kind, index_date
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: maintainers within 20 % as in Hayes 2020 (Pain 161:979); drawing a share of their
--         dates is a design choice
with

in_run as (
    select
        candidate.*,
        run.start_date as run_start_date,
        run.end_date as run_end_date,
        coalesce(run.long_term_date < candidate.index_date, false) as is_long_term,
        round(candidate.mean_after_mme / nullif(candidate.mean_before_mme, 0), 9) as dose_ratio,
        round(candidate.mean_after_mme / nullif(candidate.distal_mme, 0), 9) as distal_ratio,
        round(candidate.late_mme / nullif(candidate.distal_mme, 0), 9) as late_ratio
    from episode.index_dose as candidate
    left join trajectory.therapy_run as run
        on
            candidate.patient_index = run.patient_index
            and candidate.index_date between run.start_date and run.end_date
),

-- Pain after the day is held against both baselines, so the dose is that of either; a rise of pain
-- is seen in R2 only, so there the dose is the same as well. A ratio that makes an escalation is
-- not stable.
judged as (
    select
        *,
        case
            when not is_long_term then 'not_long_term'
            when before_lower_bound_days > 0 or after_lower_bound_days > 0 then 'dose_unknown'
            when before_coverage < $min_coverage or after_coverage < $min_coverage
                then 'supply_not_covered'
            when
                not list_bool_and(list_transform(
                    if(
                        index_kind = 'pain_led',
                        [dose_ratio, distal_ratio, late_ratio],
                        [dose_ratio, distal_ratio]
                    ),
                    lambda ratio: coalesce(
                        ratio >= 1 - $maintained_share
                        and ratio < least(1 + $maintained_share, $escalation_min_ratio),
                        false
                    )
                ))
                then 'dose_not_stable'
        end as failed_requirement
    from in_run
),

-- Every date of a maintainer is drawn or not for itself, by the patient's own name and the date:
-- what is delivered later cannot undo an earlier draw.
drawn as (
    select
        judged.* exclude (failed_requirement),
        case
            when judged.failed_requirement is not null then judged.failed_requirement
            when
                judged.index_kind = 'sham_maintainer'
                and md5_number_lower(patient.patient_id || judged.index_date::varchar) % 10000
                >= 10000 * $maintainer_date_share
                then 'not_drawn'
        end as failed_requirement
    from judged
    left join clean.patient as patient using (patient_index)
),

stable_index as (
    select
        patient_index,
        index_kind,
        index_date,
        mean_before_mme,
        mean_after_mme,
        distal_mme,
        late_mme,
        before_coverage,
        after_coverage,
        before_lower_bound_days,
        after_lower_bound_days,
        run_start_date,
        run_end_date,
        dose_ratio,
        distal_ratio,
        late_ratio,
        failed_requirement
    from drawn
)

from stable_index
