-- What pain did around the same day in matched episodes without the response.
--
-- Grain:  one row per row of episode.management_response whose change of pain is known
-- Key:    episode_id, response
-- Units:  pain in NRS points
-- Scope:  cohort
-- Source: matched as in episode.expected_change: same kind, source, calendar month and dose band,
--         both baselines within the caliper. Descriptive, never the effect of a response
with

scored as (
    select
        profile.episode_id,
        profile.patient_index,
        profile.index_kind,
        profile.index_date,
        profile.distal_nrs,
        profile.proximal_nrs,
        profile.prior_therapy_days,
        patient.source,
        case
            when not list_contains($shifted_sources, patient.source)
                then date_trunc('month', profile.index_date)::date
        end as calendar_month,
        case
            when profile.proximal_mme < 20 then 'under 20'
            when profile.proximal_mme < 50 then '20 to 49'
            when profile.proximal_mme < 90 then '50 to 89'
            else '90 and over'
        end as dose_band,
        floor(profile.distal_nrs / $match_caliper_nrs)::integer as distal_cell,
        floor(profile.proximal_nrs / $match_caliper_nrs)::integer as proximal_cell,
        feed.has_adjuvants,
        feed.has_procedures
    from episode.episode_profile as profile
    left join clean.patient as patient using (patient_index)
    left join episode.delivered_feed as feed using (episode_id)
    where profile.excluded_reason is null and profile.not_classifiable_reason is null
),

responded as (
    select
        scored.*,
        response.response,
        response.response_day,
        response.change_nrs
    from episode.management_response as response
    inner join scored using (episode_id)
    where response.change_nrs is not null
),

-- Whoever is within the caliper is in the same cell or in one beside it.
neighbourhood as (
    select
        responded.* exclude (distal_cell, proximal_cell),
        responded.distal_cell + distal_step as distal_cell,
        responded.proximal_cell + proximal_step as proximal_cell
    from responded
    cross join unnest([-1, 0, 1]) as d (distal_step)
    cross join unnest([-1, 0, 1]) as p (proximal_step)
),

-- Who could not be seen to have the response is nobody without it.
candidate as (
    select
        responded.episode_id,
        responded.response,
        responded.response_day,
        other.episode_id as other_episode_id,
        other.patient_index as other_patient_index,
        other.index_date + responded.response_day as other_date,
        round(
            abs(responded.distal_nrs - other.distal_nrs)
            + abs(responded.proximal_nrs - other.proximal_nrs)
            + abs(responded.prior_therapy_days - other.prior_therapy_days) / 365,
            9
        ) as distance
    from neighbourhood as responded
    inner join scored as other
        on
            responded.index_kind = other.index_kind
            and responded.source = other.source
            and responded.calendar_month is not distinct from other.calendar_month
            and responded.dose_band = other.dose_band
            and responded.distal_cell = other.distal_cell
            and responded.proximal_cell = other.proximal_cell
            and responded.patient_index <> other.patient_index
            and round(abs(responded.distal_nrs - other.distal_nrs), 9) <= $match_caliper_nrs
            and round(abs(responded.proximal_nrs - other.proximal_nrs), 9) <= $match_caliper_nrs
            and case
                when responded.response in ('taper', 'rotation') then true
                when responded.response in ('injection', 'physical_therapy')
                    then other.has_procedures
                else other.has_adjuvants
            end
    anti join episode.management_response as response
        on other.episode_id = response.episode_id and responded.response = response.response
),

-- A patient counts once, with the episode that is most alike.
once as (
    select *
    from candidate
    qualify
        row_number() over (
            partition by episode_id, response, other_patient_index
            order by distance, other_episode_id
        ) = 1
),

nearest as (
    select *
    from once
    qualify
        row_number() over (
            partition by episode_id, response
            order by distance, other_episode_id
        ) <= $match_count
),

pain_week as (
    select
        nearest.episode_id,
        nearest.response,
        nearest.other_episode_id,
        day.score_date < nearest.other_date as is_before,
        date_trunc('week', day.score_date)::date as week_start_date,
        median(day.pain_nrs) as pain_nrs
    from nearest
    inner join trajectory.pain_day as day
        on
            nearest.other_patient_index = day.patient_index
            and list_contains($pain_settings, day.setting)
            and not day.is_masked
            and day.pain_nrs is not null
            and (
                day.score_date between nearest.other_date + $proximal_from_day
                and nearest.other_date + $proximal_to_day
                or day.score_date between nearest.other_date + $withdrawal_days
                and nearest.other_date + $dechallenge_to_days
            )
    group by all
),

changed as (
    select
        episode_id,
        response,
        other_episode_id,
        avg(pain_nrs) filter (where not is_before)
        - avg(pain_nrs) filter (where is_before) as change_nrs
    from pain_week
    group by all
    having
        count(*) filter (where is_before) >= $min_scored_weeks
        and count(*) filter (where not is_before) >= $min_scored_weeks
),

compared as (
    select
        episode_id,
        response,
        count(*) as matched_count,
        round(avg(change_nrs), 9) as matched_change_nrs
    from changed
    group by all
),

response_comparison as (
    select
        responded.episode_id,
        responded.response,
        responded.change_nrs,
        coalesce(compared.matched_count, 0) as matched_count,
        compared.matched_change_nrs
    from responded
    left join compared using (episode_id, response)
)

from response_comparison
