-- The dose was high, therapy long, and pain leaned upwards.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points; doses in MME per day; days
-- Scope:  cohort
-- Source: Guichard 2022, Clin J Pain 38 (published cases at a median of 850 mg a day); Suzan 2013,
--         Pain Physician 16:65 (hyperalgesia grew with the dose); thresholds are design choices
-- Rule:   the dose in R is at least intense_min_mme, therapy at the index date is at least
--         intense_min_days old, and R less B1 beyond the expected change is at least
--         leaning_rise_nrs. Pain need only lean, whatever its measurement error: the vote is weak,
--         and says nothing unless another rule speaks, too
-- Unseen: that a dose may be high because pain is, and therapy from before the extract begins
with

measured as (
    select
        episode_id,
        not_classifiable_reason,
        response_mme,
        prior_therapy_days,
        adjusted_change_nrs,
        adjusted_change_se_nrs,
        response_mme >= $intense_min_mme
        and prior_therapy_days >= $intense_min_days
        and adjusted_change_nrs >= $leaning_rise_nrs as is_intense
    from episode.episode_profile
    where excluded_reason is null
),

vote as (
    select
        episode_id,
        'LF13' as rule,
        case
            when not_classifiable_reason is not null then 'ABSTAIN'
            when is_intense then 'OIH'
            else 'NONE'
        end as vote,
        case when not_classifiable_reason is null and is_intense then 'weak' end as strength,
        not_classifiable_reason as abstain_reason,
        [
            {
                'name': 'dose in R',
                'value': response_mme,
                'threshold': $intense_min_mme::double,
                'margin': response_mme - $intense_min_mme,
                'unit': 'MME/day'
            },
            {
                'name': 'therapy before the index date',
                'value': prior_therapy_days,
                'threshold': $intense_min_days::double,
                'margin': prior_therapy_days - $intense_min_days,
                'unit': 'day'
            },
            {
                'name': 'adjusted change R - B1',
                'value': adjusted_change_nrs,
                'threshold': $leaning_rise_nrs::double,
                'margin': adjusted_change_nrs - $leaning_rise_nrs,
                'unit': 'NRS point'
            },
            {
                'name': 'change in standard errors',
                'value': adjusted_change_nrs / adjusted_change_se_nrs,
                'threshold': null,
                'margin': null,
                'unit': 'SE'
            }
        ] as evidence
    from measured
)

from vote
