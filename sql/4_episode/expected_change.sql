-- What pain was to be expected to do: the change of maintainers like the patient, or of none.
--
-- Grain:  one row per episode whose pain is scored in B1, B0 and R
-- Key:    episode_id
-- Units:  NRS points
-- Scope:  cohort
-- Source: maintainers matched on baseline pain as in Hayes 2020 (Pain 161:979); bands of CDC 2022
--         (Dowell 2022, MMWR Recomm Rep 71(3)); the regression on B0 less B1 where nobody matches
--         is a design choice, its slope that of the cohort's maintainers
with

-- Matching asks for the same source, calendar month and dose band, and for baselines within the
-- caliper. Where dates are shifted the calendar says nothing.
scored as (
    select
        change.episode_id,
        change.patient_index,
        change.index_kind,
        change.distal_nrs,
        change.proximal_nrs,
        change.baseline_change_nrs,
        change.distal_change_nrs,
        change.proximal_change_nrs,
        change.prior_therapy_days,
        covariate.region_count,
        change.excluded_reason is null and change.not_classifiable_reason is null as is_judged,
        patient.source,
        case
            when not list_contains($shifted_sources, patient.source)
                then date_trunc('month', change.index_date)::date
        end as calendar_month,
        case
            when change.proximal_mme < 20 then 'under 20'
            when change.proximal_mme < 50 then '20 to 49'
            when change.proximal_mme < 90 then '50 to 89'
            else '90 and over'
        end as dose_band,
        floor(change.distal_nrs / $match_caliper_nrs)::integer as distal_cell,
        floor(change.proximal_nrs / $match_caliper_nrs)::integer as proximal_cell
    from episode.episode_change as change
    left join episode.covariate as covariate using (episode_id)
    left join clean.patient as patient on change.patient_index = patient.patient_index
    where change.distal_change_nrs is not null and change.baseline_change_nrs is not null
),

-- Those who may be matched with one another share a number: joins on it are many times faster.
alike as (
    select
        *,
        dense_rank() over (order by source, calendar_month, dose_band) as stratum_number
    from scored
),

-- Numbered in the order that settles ties.
maintainer as (
    select
        *,
        row_number() over (order by episode_id) as maintainer_number
    from alike
    where index_kind = 'sham_maintainer' and is_judged
),

-- A maintainer counts once, so enough pairs are those that are asked for, times the dates that one
-- of them can have among those to choose from.
pair_count as (
    select (coalesce(max(date_count), 1) * $match_count)::bigint as most_pairs
    from (
        select count(*) as date_count
        from maintainer
        group by stratum_number, patient_index
    ) as patient_dates
),

-- Whoever is within the caliper is in the same cell or in one beside it.
neighbourhood as (
    select
        maintainer.patient_index,
        maintainer.maintainer_number,
        maintainer.stratum_number,
        maintainer.distal_nrs,
        maintainer.proximal_nrs,
        maintainer.prior_therapy_days,
        maintainer.region_count,
        maintainer.distal_cell + distal_step as distal_cell,
        maintainer.proximal_cell + proximal_step as proximal_cell
    from maintainer
    cross join unnest([-1, 0, 1]) as d (distal_step)
    cross join unnest([-1, 0, 1]) as p (proximal_step)
),

-- How unlike two are: a year of therapy and a region of the body with coded pain weigh as much as a
-- point of pain. Pairs grow with the square of the cohort, so they are never listed: each episode
-- keeps its least ones.
nearby as (
    select
        alike.episode_id,
        unnest(min(
            {
                'distance': coalesce(
                    round(
                        abs(alike.distal_nrs - near.distal_nrs)
                        + abs(alike.proximal_nrs - near.proximal_nrs)
                        + abs(alike.prior_therapy_days - near.prior_therapy_days) / 365
                        + coalesce(abs(alike.region_count - near.region_count), 0),
                        9
                    ),
                    'infinity'::double
                ),
                'maintainer_number': near.maintainer_number
            },
            pair_count.most_pairs
        )) as pair
    from alike
    inner join neighbourhood as near
        on
            alike.stratum_number = near.stratum_number
            and alike.distal_cell = near.distal_cell
            and alike.proximal_cell = near.proximal_cell
            and alike.patient_index <> near.patient_index
            and round(abs(alike.distal_nrs - near.distal_nrs), 9) <= $match_caliper_nrs
            and round(abs(alike.proximal_nrs - near.proximal_nrs), 9) <= $match_caliper_nrs
    cross join pair_count
    group by alike.episode_id
),

-- Of a maintainer, the date that is most alike.
candidate as (
    select
        nearby.episode_id,
        nearby.pair,
        maintainer.distal_change_nrs,
        maintainer.proximal_change_nrs
    from nearby
    inner join maintainer on nearby.pair['maintainer_number'] = maintainer.maintainer_number
    qualify
        row_number() over (
            partition by nearby.episode_id, maintainer.patient_index order by nearby.pair
        ) = 1
),

nearest as (
    select *
    from candidate
    qualify row_number() over (partition by episode_id order by pair) <= $match_count
),

matched as (
    select
        episode_id,
        count(*) as matched_count,
        coalesce(var_samp(distal_change_nrs), 0) * (count(*) - 1) as squared_deviation,
        round(avg(distal_change_nrs), 9) as distal_change_nrs,
        round(avg(proximal_change_nrs), 9) as proximal_change_nrs
    from nearest
    group by all
),

-- Maintainers matched with one episode differ by error and in truth. A single one, or four, tell
-- little of how much: all matched sets together do.
spread as (
    select sqrt(sum(squared_deviation) / nullif(sum(matched_count - 1), 0)) as pooled_sd_nrs
    from matched
),

-- How much of B0 less B1 remains in R less B1, in maintainers: regression to the mean as this
-- cohort has it.
slope as (
    select
        case
            when count(*) >= $rtm_min_maintainers
                then regr_slope(distal_change_nrs, baseline_change_nrs)
        end as cohort_slope,
        case
            when count(*) >= $rtm_min_maintainers
                then sqrt(
                    greatest(
                        var_samp(distal_change_nrs) / nullif(var_samp(baseline_change_nrs), 0)
                        - regr_slope(distal_change_nrs, baseline_change_nrs) ** 2,
                        0
                    ) / nullif(count(*) - 2, 0)
                )
        end as slope_se
    from maintainer
),

expected_change as (
    select
        scored.episode_id,
        coalesce(matched.matched_count, 0) as matched_count,
        case when matched.episode_id is null then 'regression' else 'matched_maintainers' end
            as expected_by,
        round(coalesce(slope.cohort_slope, $rtm_slope), 9) as regression_slope,
        coalesce(
            matched.distal_change_nrs,
            round(coalesce(slope.cohort_slope, $rtm_slope) * scored.baseline_change_nrs, 9)
        ) as expected_change_nrs,
        -- The slope of the settings has no error that is known.
        round(
            case
                when matched.episode_id is null
                    then slope.slope_se * abs(scored.baseline_change_nrs)
                else spread.pooled_sd_nrs / sqrt(matched.matched_count)
            end,
            9
        ) as expected_change_se_nrs,
        matched.proximal_change_nrs as expected_proximal_change_nrs
    from scored
    left join matched using (episode_id)
    cross join slope
    cross join spread
)

from expected_change
