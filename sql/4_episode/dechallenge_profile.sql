-- Each dechallenge with the change of pain that was to be expected without a taper.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id
-- Units:  doses in MME per day, pain and changes in NRS points
-- Scope:  cohort
-- Source: tapers in which pain improves are common and not specific (Frank 2017, Ann Intern Med
--         167:181); matching as for the expected change of an episode (episode.expected_change)
with

-- Not tapered, not followed long enough or raised again is not observable: no evidence either way.
readable as (
    select
        dechallenge.*,
        $within_person_sd_nrs * sqrt(
            1 / nullif(dechallenge.before_week_count, 0)
            + 1 / nullif(dechallenge.after_week_count, 0)
        ) as change_se_nrs,
        case
            when dechallenge.cut_share is null then 'dose_unknown'
            when not dechallenge.is_taper then 'no_taper'
            when not dechallenge.is_observable then 'follow_up_too_short'
            when dechallenge.kept_cut_share is null then 'dose_unknown'
            when dechallenge.kept_cut_share < $kept_min_cut then 'dose_raised_again'
            when dechallenge.before_week_count < $min_scored_weeks
                then 'too_few_scores_before_taper'
            when dechallenge.after_week_count < $min_scored_weeks
                then 'too_few_scores_after_taper'
        end as not_readable_reason
    from episode.dechallenge as dechallenge
),

-- Nobody is untapered whose dose fell as far while pain was read, be it in a taper or not.
-- Matching asks for the same source, calendar month of the cut and dose band, and for B1 and pain
-- before the cut within the caliper. Where dates are shifted the calendar says nothing.
scored as (
    select
        readable.episode_id,
        readable.patient_index,
        readable.change_nrs,
        readable.before_nrs,
        change.distal_nrs,
        change.prior_therapy_days,
        patient.source,
        case
            when not list_contains($shifted_sources, patient.source)
                then date_trunc('month', readable.first_cut_date)::date
        end as calendar_month,
        case
            when readable.response_mme < 20 then 'under 20'
            when readable.response_mme < 50 then '20 to 49'
            when readable.response_mme < 90 then '50 to 89'
            else '90 and over'
        end as dose_band,
        floor(change.distal_nrs / $match_caliper_nrs)::integer as distal_cell,
        floor(readable.before_nrs / $match_caliper_nrs)::integer as before_cell,
        readable.not_readable_reason is null as is_tapered,
        not readable.is_taper
        and readable.cut_share < $taper_min_cut
        and readable.kept_cut_share < $taper_min_cut
        and readable.is_observable
        and readable.before_week_count >= $min_scored_weeks
        and readable.after_week_count >= $min_scored_weeks as is_untapered
    from readable
    left join episode.episode_change as change using (episode_id)
    left join clean.patient as patient on readable.patient_index = patient.patient_index
),

untapered as (
    from scored
    where is_untapered
),

-- Whoever is within the caliper is in the same cell or in one beside it.
neighbourhood as (
    select
        scored.* exclude (distal_cell, before_cell),
        scored.distal_cell + distal_step as distal_cell,
        scored.before_cell + before_step as before_cell
    from scored
    cross join unnest([-1, 0, 1]) as d (distal_step)
    cross join unnest([-1, 0, 1]) as b (before_step)
    where scored.is_tapered
),

-- A patient counts once, with the episode that is most alike. A year of therapy weighs as much as a
-- point of pain.
candidate as (
    select
        scored.episode_id,
        untapered.patient_index,
        untapered.episode_id as untapered_episode_id,
        untapered.change_nrs,
        round(
            abs(scored.distal_nrs - untapered.distal_nrs)
            + abs(scored.before_nrs - untapered.before_nrs)
            + abs(scored.prior_therapy_days - untapered.prior_therapy_days) / 365,
            9
        ) as distance
    from neighbourhood as scored
    inner join untapered
        on
            scored.source = untapered.source
            and scored.calendar_month is not distinct from untapered.calendar_month
            and scored.dose_band = untapered.dose_band
            and scored.distal_cell = untapered.distal_cell
            and scored.before_cell = untapered.before_cell
            and scored.patient_index <> untapered.patient_index
            and round(abs(scored.distal_nrs - untapered.distal_nrs), 9) <= $match_caliper_nrs
            and round(abs(scored.before_nrs - untapered.before_nrs), 9) <= $match_caliper_nrs
    qualify
        row_number() over (
            partition by scored.episode_id, untapered.patient_index
            order by distance, untapered.episode_id
        ) = 1
),

nearest as (
    select *
    from candidate
    qualify
        row_number() over (partition by episode_id order by distance, untapered_episode_id)
        <= $match_count
),

matched as (
    select
        episode_id,
        count(*) as matched_count,
        round(avg(change_nrs), 9) as change_nrs
    from nearest
    group by all
),

all_untapered as (
    select round(avg(change_nrs), 9) as change_nrs
    from untapered
),

dechallenge_profile as (
    select
        readable.*,
        coalesce(matched.matched_count, 0) as matched_count,
        case
            when readable.not_readable_reason is not null then null
            when matched.episode_id is not null then 'matched_untapered'
            when all_untapered.change_nrs is not null then 'all_untapered'
            else 'nobody'
        end as expected_by,
        case
            when readable.not_readable_reason is null
                then coalesce(matched.change_nrs, all_untapered.change_nrs, 0)
        end as expected_change_nrs,
        round(readable.change_nrs - expected_change_nrs, 9) as adjusted_change_nrs
    from readable
    left join matched using (episode_id)
    cross join all_untapered
)

from dechallenge_profile
