-- Headache from overused medication was coded for the first time.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  days from the index date
-- Scope:  cohort
-- Source: reference.clinical_concept; the rule is a design choice
-- Rule:   headache from overused medication is coded for the first time near the index date
-- Settings: look_back_days, proximal_from_day, response_to_day
-- Unseen: which drug was overused
with

vote as (
    select
        episode_id,
        'LF18' as rule,
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
    where kind in ('medication_overuse_headache')
    group by episode_id
)

from vote
