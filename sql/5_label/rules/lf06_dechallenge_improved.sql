-- Pain fell after the dose was tapered, read after withdrawal has passed.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; share of the dose
-- Scope:  cohort
-- Source: Guichard 2022, Clin J Pain 38 (resolution on cessation); Compton 2022, Pain Ther 11:303;
--         Frank 2017, Ann Intern Med 167:181 (improvement after a taper is not specific)
-- Rule:   after a cut of at least taper_min_cut of the dose in R, of which kept_min_cut is kept
--         while pain is read, pain from withdrawal_days to dechallenge_to_days after the last cut,
--         less that before the first, is at most improvement_nrs (strong: strong_improvement_nrs,
--         or strong_rise_share of it) beyond matched patients without a taper, or beyond all of
--         them where nobody matches, and beyond measurement error. Weak where a drug, a therapy or
--         a procedure for pain began around the taper, or where nobody delivered that
-- Settings: co_intervention_days, dechallenge_to_days, new_treatment_days, withdrawal_days
-- Unseen: what else came with the taper, and why it was begun; most episodes have none to read
with

sized as (
    select
        profile.*,
        treatment.new_drug_count + treatment.new_therapy_count + treatment.procedure_count
            as new_treatment_count,
        profile.adjusted_change_nrs <= $improvement_nrs as is_improved,
        -profile.adjusted_change_nrs >= $weak_se * profile.change_se_nrs as is_beyond_weak_error,
        -profile.adjusted_change_nrs >= $strong_se * profile.change_se_nrs
            as is_beyond_strong_error,
        profile.adjusted_change_nrs <= $strong_improvement_nrs
        or (
            profile.adjusted_change_nrs <= round(-$strong_rise_share * profile.before_nrs, 9)
            and profile.adjusted_change_nrs <= $improvement_nrs
        ) as is_strongly_improved
    from episode.dechallenge_profile as profile
    left join episode.co_intervention as treatment using (episode_id)
),

judged as (
    select
        *,
        case
            when not_readable_reason is not null then not_readable_reason
            when is_improved and not is_beyond_weak_error then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF06' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_improved then 'OIH'
            else 'NONE'
        end as vote,
        case
            when abstain_reason is not null or not is_improved then null
            when is_strongly_improved and is_beyond_strong_error and new_treatment_count = 0
                then 'strong'
            else 'weak'
        end as strength,
        abstain_reason,
        [
            {
                'name': 'cut against R',
                'value': cut_share,
                'threshold': $taper_min_cut::double,
                'margin': cut_share - $taper_min_cut,
                'unit': 'share'
            },
            {
                'name': 'cut against R while pain was read',
                'value': kept_cut_share,
                'threshold': $kept_min_cut::double,
                'margin': kept_cut_share - $kept_min_cut,
                'unit': 'share'
            },
            {
                'name': 'change after the taper, beyond untapered episodes',
                'value': adjusted_change_nrs,
                'threshold': $improvement_nrs::double,
                'margin': $improvement_nrs - adjusted_change_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'fall in standard errors',
                'value': -adjusted_change_nrs / change_se_nrs,
                'threshold': $weak_se::double,
                'margin': -adjusted_change_nrs / change_se_nrs - $weak_se,
                'unit': 'SE'
            },
            {
                'name': 'matched patients without a taper',
                'value': matched_count,
                'threshold': null,
                'margin': null,
                'unit': 'patient'
            },
            {
                'name': 'new treatments around the taper',
                'value': new_treatment_count,
                'threshold': 0,
                'margin': -new_treatment_count,
                'unit': 'treatment'
            }
        ] as evidence
    from judged
)

from vote
