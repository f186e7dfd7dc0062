-- Something acute happened that hurts by itself.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  days from the index date
-- Scope:  cohort
-- Source: Wilson 2021, Pain Manag 11:405 (new injury and disease as what else pain may be); Ment
--         Health Clin 5(3):138; windows are design choices
-- Rule:   an injury, an infection, a flare, cancer or a visit to an emergency department for pain
--         near the index date, or an operation or injection up to the end of the response window.
--         An injury, infection, flare or cancer is one without such a code in the new_acute_days
--         before; each visit, operation and injection counts by itself
-- Settings: acute_from_day, acute_to_day, new_acute_days, response_to_day
-- Unseen: flares without a code of their own, and what was never coded
with

vote as (
    select
        episode_id,
        'LF10' as rule,
        case
            when bool_or(margin_days >= 0) then 'PROG'
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
            'injury', 'infection', 'flare', 'cancer', 'emergency_pain_visit', 'surgery', 'injection'
        )
    group by episode_id
)

from vote
