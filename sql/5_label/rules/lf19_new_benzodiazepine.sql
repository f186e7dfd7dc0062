-- A benzodiazepine was begun.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  days from the index date
-- Scope:  cohort
-- Source: reference.adjuvant_name; the rule is a design choice
-- Rule:   a benzodiazepine is begun near the index date
-- Settings: metabolism_from_day, metabolism_to_day, new_drug_days
-- Unseen: what it was begun for: sleep, anxiety and withdrawal are all told by it
with

vote as (
    select
        episode_id,
        'LF19' as rule,
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
    where kind in ('benzodiazepine')
    group by episode_id
)

from vote
