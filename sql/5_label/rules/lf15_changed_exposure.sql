-- What reaches the body of the same dose changed.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  days from the index date
-- Scope:  cohort
-- Source: review in Ment Health Clin 5(3):138; drugs of reference.drug_interaction; windows, and
--         bariatric surgery among the changes, are design choices
-- Rule:   near the index date an inducer of CYP3A4 is begun, or an inhibitor of CYP2D6 beside an
--         opioid that it keeps from acting, or the opioid or its release is changed, or bariatric
--         surgery is coded
-- Settings: metabolism_from_day, metabolism_to_day, new_drug_days
-- Unseen: a change of salt alone, doses not taken, drugs bought without a prescription
with

vote as (
    select
        episode_id,
        'LF15' as rule,
        case
            when bool_or(margin_days >= 0) then 'OTHER'
            when count(unread_reason) > 0 then 'ABSTAIN'
            else 'NONE'
        end as vote,
        case when bool_or(margin_days >= 0) then 'weak' end as strength,
        case
            when not coalesce(bool_or(margin_days >= 0), false) then min(unread_reason)
        end as abstain_reason,
        -- The edge of the days on which the kind counts that the event is nearest to.
        list({
            'name': 'day of ' || replace(kind, '_', ' '),
            'value': event_day::double,
            'threshold': if(
                coalesce(event_day - from_day < to_day - event_day, false), from_day, to_day
            )::double,
            'margin': margin_days::double,
            'unit': 'day'
        } order by kind) as evidence
    from episode.nearest_event
    where
        kind in (
            'cyp3a4_inducer', 'cyp2d6_inhibitor', 'bariatric_surgery', 'rotation', 'release_switch'
        )
    group by episode_id
)

from vote
