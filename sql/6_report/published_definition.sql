-- Published definitions rerun: each figure beside the paper's and a world without hyperalgesia.
--
-- Grain:  one row per figure of reference.published_figure
-- Key:    definition, figure
-- Units:  as the figure says: NRS points or a share
-- Scope:  cohort
-- Source: Hayes 2020, Morasco 2020, Henry 2015, Fenton 2019 and Agnoli 2021, definitions of new
--         persistent use compared in Anesthesiology 2020;132:1528; reference.null_world_figure
with

hayes as (
    select
        group_name,
        count(*) as patient_count,
        avg(before_nrs) as before_nrs,
        avg(first_nrs) as first_nrs,
        avg(later_nrs) as later_nrs,
        avg(first_nrs - before_nrs) as first_change_nrs,
        avg(later_nrs - before_nrs) as later_change_nrs,
        stddev_samp(before_nrs) / sqrt(count(*)) as before_se_nrs,
        stddev_samp(first_nrs) / sqrt(count(*)) as first_se_nrs,
        stddev_samp(later_nrs) / sqrt(count(*)) as later_se_nrs,
        var_samp(first_nrs - before_nrs) / count(*) as first_change_variance,
        var_samp(later_nrs - before_nrs) / count(*) as later_change_variance
    from episode.hayes_patient
    where failed_requirement is null
    group by all
),

hayes_mean as (
    select
        'hayes_2020' as definition,
        unnest([
            group_name || '_before_nrs', group_name || '_first_nrs', group_name || '_later_nrs'
        ]) as figure,
        unnest([before_nrs, first_nrs, later_nrs]) as figure_value,
        unnest([before_se_nrs, first_se_nrs, later_se_nrs]) as standard_error,
        patient_count,
        patient_count as counted_patients
    from hayes
),

hayes_difference as (
    select
        'hayes_2020' as definition,
        unnest(['first_difference_nrs', 'later_difference_nrs']) as figure,
        unnest([
            escalator.first_change_nrs - maintainer.first_change_nrs,
            escalator.later_change_nrs - maintainer.later_change_nrs
        ]) as figure_value,
        unnest([
            sqrt(escalator.first_change_variance + maintainer.first_change_variance),
            sqrt(escalator.later_change_variance + maintainer.later_change_variance)
        ]) as standard_error,
        escalator.patient_count,
        escalator.patient_count as counted_patients
    from hayes as escalator
    inner join hayes as maintainer
        on escalator.group_name = 'escalator' and maintainer.group_name = 'maintainer'
),

-- Who could have shown what a share counts, and who did.
counted as (
    select
        'morasco_2020' as definition,
        'escalated_share' as figure,
        count(*) as patient_count,
        count(escalation_date) as counted_patients
    from episode.morasco_patient
    where failed_requirement is null
    union all by name
    select
        'morasco_2020' as definition,
        'improved_share' as figure,
        count(is_improved) as patient_count,
        count(*) filter (where is_improved) as counted_patients
    from episode.morasco_patient
    where failed_requirement is null
    union all by name
    select
        'henry_2015' as definition,
        'escalated_share' as figure,
        count(*) as patient_count,
        count(*) filter (where is_escalated) as counted_patients
    from episode.henry_patient
    where failed_requirement is null
    union all by name
    select
        'fenton_2019' as definition,
        'tapered_share' as figure,
        count(*) as patient_count,
        count(*) filter (where is_tapered) as counted_patients
    from episode.taper_patient
    where failed_requirement is null
    union all by name
    select
        'fenton_2019' as definition,
        'fast_share' as figure,
        count(*) as patient_count,
        count(*) filter (where is_fast) as counted_patients
    from episode.taper_patient
    where failed_requirement is null and is_tapered
    union all by name
    select
        'new_persistent_use' as definition,
        'persistent_share' as figure,
        count(*) as patient_count,
        count(*) filter (where is_persistent) as counted_patients
    from episode.surgery_patient
    where failed_requirement is null
),

morasco_rise as (
    select
        'morasco_2020' as definition,
        'rise_ratio' as figure,
        avg(rise_share) as figure_value,
        stddev_samp(rise_share) / sqrt(count(rise_share)) as standard_error,
        count(rise_share) as patient_count,
        count(rise_share) as counted_patients
    from episode.morasco_patient
    where failed_requirement is null
),

measured as (
    from hayes_mean
    union all by name
    from hayes_difference
    union all by name
    from morasco_rise
    union all by name
    select
        *,
        counted_patients / nullif(patient_count, 0) as figure_value
    from counted
),

published_definition as (
    select
        published.definition,
        published.figure,
        published.figure_number,
        published.unit,
        published.published_low,
        published.published_high,
        published.published_text,
        published.meaning,
        published.citation,
        coalesce(measured.patient_count, 0) as patient_count,
        coalesce(measured.counted_patients, 0) as counted_patients,
        round(measured.figure_value, 9) as figure_value,
        case when published.unit <> 'share' then round(measured.figure_value, 9) end as mean_value,
        case when published.unit <> 'share' then round(measured.standard_error, 9) end
            as standard_error,
        world.mean_value as null_world_mean,
        world.sd_value as null_world_sd,
        world.seed_count as null_world_seeds
    from reference.published_figure as published
    left join measured using (definition, figure)
    left join reference.null_world_figure as world using (definition, figure)
)

from published_definition
