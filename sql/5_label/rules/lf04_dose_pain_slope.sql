-- Pain went up and down with the dose of weeks before, within the patient.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  NRS points per doubling of the dose
-- Scope:  cohort
-- Source: Suzan 2013, Pain Physician 16:65 (hyperalgesia grew with the dose, analgesia with less
--         pain); ridge, lag, bootstrap and thresholds are design choices
-- Rule:   weekly pain of look-back and R on the doublings of the mean dose of slope_dose_days
--         that ended slope_lag_days before, and on time, by ridge. For hyperalgesia: at least
--         slope_min_nrs for a doubling, the 90 % interval of a bootstrap over blocks of weeks above
--         zero, and slope_min_steps separate steps of the dose. Against it: a fall by as much,
--         whatever its interval. Needs slope_min_scored_weeks and an SD of the doublings above
--         slope_min_dose_sd
-- Settings: slope_block_days, slope_dose_days, slope_draw_count, slope_lag_days, slope_ridge_weeks
-- Unseen: a dose that follows pain by more than the lag; weeks without supply or of unknown dose
with

sized as (
    select
        slope.*,
        slope.slope_nrs_per_doubling >= $slope_min_nrs as is_rise,
        slope.slope_nrs_per_doubling <= -$slope_min_nrs as is_fall
    from episode.dose_pain_slope as slope
),

judged as (
    select
        *,
        case
            when scored_week_count < $slope_min_scored_weeks then 'too_few_scored_weeks'
            when dose_sd_doublings <= $slope_min_dose_sd then 'dose_too_stable'
            when is_rise and step_count < $slope_min_steps then 'too_few_dose_steps'
            when is_rise and low_nrs_per_doubling <= 0 then 'within_measurement_error'
        end as abstain_reason
    from sized
),

vote as (
    select
        episode_id,
        'LF04' as rule,
        case
            when abstain_reason is not null then 'ABSTAIN'
            when is_rise then 'OIH'
            when is_fall then 'NOT_OIH'
            else 'NONE'
        end as vote,
        case when abstain_reason is null and (is_rise or is_fall) then 'weak' end as strength,
        abstain_reason,
        [
            {
                'name': 'slope of pain on dose',
                'value': slope_nrs_per_doubling,
                'threshold': $slope_min_nrs::double,
                'margin': slope_nrs_per_doubling - $slope_min_nrs,
                'unit': 'NRS point per doubling'
            },
            {
                'name': 'lower end of its 90 % interval',
                'value': low_nrs_per_doubling,
                'threshold': 0,
                'margin': low_nrs_per_doubling,
                'unit': 'NRS point per doubling'
            },
            {
                'name': 'upper end of its 90 % interval',
                'value': high_nrs_per_doubling,
                'threshold': null,
                'margin': null,
                'unit': 'NRS point per doubling'
            },
            {
                'name': 'separate dose steps',
                'value': step_count,
                'threshold': $slope_min_steps::double,
                'margin': step_count - $slope_min_steps,
                'unit': 'step'
            },
            {
                'name': 'scored weeks',
                'value': scored_week_count,
                'threshold': $slope_min_scored_weeks::double,
                'margin': scored_week_count - $slope_min_scored_weeks,
                'unit': 'week'
            },
            {
                'name': 'SD of the dose',
                'value': dose_sd_doublings,
                'threshold': $slope_min_dose_sd::double,
                'margin': dose_sd_doublings - $slope_min_dose_sd,
                'unit': 'doubling'
            }
        ] as evidence
    from judged
)

from vote
