-- Days that may begin an episode without a rise of the opioid dose: sham dates, and rises of pain.
--
-- Grain:  one row per patient, kind and day
-- Key:    patient_index, index_kind, index_date
-- Units:  dates
-- Scope:  patient
-- Source: sham dates run through everything that escalations do (design choice): risk-set sampling
--         against immortal time (PMC7415259), gabapentinoids as a negative control exposure
with

-- A maintainer's date is the first fill of a month, since an escalation begins at a fill, too.
maintainer as (
    select
        patient_index,
        'sham_maintainer' as index_kind,
        min(start_date) as index_date
    from trajectory.record_dose
    where is_in_timeline
    group by patient_index, date_trunc('month', start_date)
),

-- Two strengths begun on one day are one dose.
gabapentinoid_dose as (
    select
        patient_index,
        ingredient,
        start_date,
        sum(daily_mg) as daily_mg
    from trajectory.adjuvant_dose
    where drug_class = 'gabapentinoid'
    group by all
),

gabapentinoid as (
    select distinct
        patient_index,
        'sham_gabapentinoid' as index_kind,
        start_date as index_date
    from gabapentinoid_dose
    window earlier as (partition by patient_index, ingredient order by start_date)
    qualify
        coalesce(start_date - lag(start_date) over earlier > $merge_days, true)
        or round(daily_mg / nullif(lag(daily_mg) over earlier, 0), 9) >= $escalation_min_ratio
),

pain_led as (
    select
        patient_index,
        'pain_led' as index_kind,
        index_date
    from episode.pain_rise
    where round(late_nrs - distal_nrs, 9) >= $pain_led_rise_nrs
),

index_candidate as (
    from maintainer
    union all by name
    from gabapentinoid
    union all by name
    from pain_led
)

from index_candidate
