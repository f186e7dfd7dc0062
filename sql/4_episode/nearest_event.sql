-- For every kind of event that may explain pain: the one nearest to the days on which it counts.
--
-- Grain:  one row per episode that is not excluded, per kind of event
-- Key:    episode_id, kind
-- Units:  days from the index date
-- Scope:  patient
-- Source: windows and what counts as new are design choices; kinds of trajectory.acute_event,
--         trajectory.concept_day, trajectory.exposure_period and trajectory.opioid_switch
with

-- The days on which each kind counts, and the feed without which nothing can be said of it.
kind_window as (
    select
        unnest([
            'injury', 'infection', 'flare', 'cancer', 'emergency_pain_visit', 'surgery',
            'injection', 'cyp3a4_inducer', 'cyp2d6_inhibitor', 'bariatric_surgery', 'rotation',
            'release_switch', 'opioid_withdrawal', 'narcotic_bowel',
            'medication_overuse_headache', 'benzodiazepine', 'depression', 'ptsd'
        ]) as kind,
        unnest([
            $acute_from_day, $acute_from_day, $acute_from_day, $acute_from_day, $acute_from_day,
            $acute_from_day, $acute_from_day, $metabolism_from_day, $metabolism_from_day,
            $metabolism_from_day, $metabolism_from_day, $metabolism_from_day, $proximal_from_day,
            $proximal_from_day, $proximal_from_day, $metabolism_from_day, $proximal_from_day,
            $proximal_from_day
        ])::integer as from_day,
        unnest([
            $acute_to_day, $acute_to_day, $acute_to_day, $acute_to_day, $acute_to_day,
            $response_to_day, $response_to_day, $metabolism_to_day, $metabolism_to_day,
            $metabolism_to_day, $metabolism_to_day, $metabolism_to_day, $response_to_day,
            $response_to_day, $response_to_day, $metabolism_to_day, $response_to_day,
            $response_to_day
        ])::integer as to_day,
        unnest([
            'diagnosis', 'diagnosis', 'diagnosis', 'diagnosis', 'encounter', 'procedure',
            'procedure', 'adjuvant', 'adjuvant', 'procedure', 'opioid', 'opioid', 'diagnosis',
            'diagnosis', 'diagnosis', 'adjuvant', 'diagnosis', 'diagnosis'
        ]) as feed
),

-- A code that is given again at later visits is no new event. Each procedure is one of its own.
acute as (
    select
        patient_index,
        event_date,
        kind
    from trajectory.acute_event
    where
        kind in ('surgery', 'injection')
        or (
            kind <> 'emergency_visit'
            and coalesce(event_date - previous_date > $new_acute_days, true)
        )
),

-- An emergency visit counts if a place that hurts was coded on its day.
emergency as (
    select
        visit.patient_index,
        visit.event_date,
        'emergency_pain_visit' as kind
    from trajectory.acute_event as visit
    semi join trajectory.pain_region_day as region
        on
            visit.patient_index = region.patient_index
            and visit.event_date = region.coded_date
            and region.region not in ('widespread', 'overlapping_pain_condition')
    where visit.kind = 'emergency_visit'
),

-- Narcotic bowel syndrome has no code of its own: coders combine these two.
condition_day as (
    select
        patient_index,
        coded_date as event_date,
        concept as kind
    from trajectory.concept_day
    where
        concept in (
            'opioid_withdrawal', 'bariatric_surgery', 'medication_overuse_headache', 'depression',
            'ptsd'
        )
    union all
    select
        bowel.patient_index,
        bowel.coded_date as event_date,
        'narcotic_bowel' as kind
    from trajectory.concept_day as bowel
    semi join trajectory.concept_day as effect
        on
            bowel.patient_index = effect.patient_index
            and bowel.coded_date = effect.coded_date
            and effect.concept = 'opioid_adverse_effect'
    where bowel.concept = 'narcotic_bowel_proxy'
),

-- A condition that lasts is new where the look-back has no code of it.
condition as (
    select
        patient_index,
        event_date,
        kind
    from condition_day
    qualify
        kind in ('opioid_withdrawal', 'bariatric_surgery')
        or coalesce(
            event_date - lag(event_date) over (
                partition by patient_index, kind order by event_date
            ) > $look_back_days,
            true
        )
),

drug_start as (
    select
        patient_index,
        exposure_class as kind,
        start_date as event_date
    from trajectory.exposure_period
    where exposure_class in ('cyp3a4_inducer', 'cyp2d6_inhibitor', 'benzodiazepine')
    qualify
        coalesce(
            start_date - max(end_date) over (
                partition by patient_index, exposure_class
                order by start_date, end_date
                rows between unbounded preceding and 1 preceding
            ) > $new_drug_days,
            true
        )
),

-- An inhibitor of CYP2D6 takes something away only where the opioid in supply needs the enzyme.
prodrug as (
    select
        record.patient_index,
        record.start_date,
        record.end_date
    from trajectory.record_dose as record
    inner join reference.drug_interaction as interaction
        on record.ingredient = interaction.ingredient and interaction.effect = 'cyp2d6_prodrug'
    where record.is_in_timeline
),

drug as (
    select
        patient_index,
        event_date,
        kind
    from drug_start
    where kind <> 'cyp2d6_inhibitor'
    union all
    select
        drug_start.patient_index,
        drug_start.event_date,
        drug_start.kind
    from drug_start
    semi join prodrug
        on
            drug_start.patient_index = prodrug.patient_index
            and drug_start.event_date between prodrug.start_date and prodrug.end_date
    where drug_start.kind = 'cyp2d6_inhibitor'
),

-- A change of opioid is known when what was there before has stayed away.
event as (
    select
        patient_index,
        event_date,
        event_date as known_date,
        kind
    from acute
    union all
    select
        patient_index,
        event_date,
        event_date as known_date,
        kind
    from emergency
    union all
    select
        patient_index,
        event_date,
        event_date as known_date,
        kind
    from condition
    union all
    select
        patient_index,
        event_date,
        event_date as known_date,
        kind
    from drug
    union all
    select
        patient_index,
        switch_date as event_date,
        switch_date + $rotation_days as known_date,
        event as kind
    from trajectory.opioid_switch
),

-- Looked for no later than the response window ends, so that a score of that day may use it.
placed as (
    select
        episode.episode_id,
        event.kind,
        (event.event_date - episode.index_date)::integer as event_day,
        least(
            event.event_date - episode.index_date - kind_window.from_day,
            kind_window.to_day - (event.event_date - episode.index_date)
        )::integer as margin_days
    from episode.episode as episode
    inner join event
        on
            episode.patient_index = event.patient_index
            and event.event_date >= episode.index_date + $proximal_from_day
            and event.known_date <= episode.index_date + $response_to_day
    inner join kind_window on event.kind = kind_window.kind
    where episode.excluded_reason is null
),

nearest as (
    select
        episode_id,
        kind,
        arg_max(event_day, (margin_days, event_day)) as event_day,
        max(margin_days) as margin_days
    from placed
    group by all
),

nearest_event as (
    select
        episode.episode_id,
        episode.patient_index,
        kind_window.kind,
        kind_window.from_day,
        kind_window.to_day,
        nearest.event_day,
        nearest.margin_days,
        case
            when kind_window.feed = 'diagnosis' and not feed.has_diagnoses
                then 'no_diagnosis_feed'
            when kind_window.feed = 'procedure' and not feed.has_procedures
                then 'no_procedure_feed'
            when kind_window.feed = 'adjuvant' and not feed.has_adjuvants then 'no_adjuvant_feed'
            when kind_window.feed = 'encounter' and not feed.has_encounters
                then 'no_encounter_feed'
            when kind_window.feed = 'encounter' and not feed.has_diagnoses
                then 'no_diagnosis_feed'
            when coalesce(episode.follow_up_days < kind_window.to_day, true)
                then 'follow_up_too_short'
        end as unread_reason
    from episode.episode as episode
    inner join episode.delivered_feed as feed using (episode_id)
    cross join kind_window
    left join nearest
        on episode.episode_id = nearest.episode_id and kind_window.kind = nearest.kind
    where episode.excluded_reason is null
)

from nearest_event
