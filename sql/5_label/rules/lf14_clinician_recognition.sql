-- A clinician noted hyperalgesia, or a sign of it, after the response window.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id, rule
-- Units:  days from the index date
-- Scope:  cohort
-- Source: design choice: a mention of hyperalgesia that is not negated is strong, allodynia or a
--         first code of hypersensitive skin is weak
-- Rule:   from the confirmation window on, a mention of hyperalgesia that is not negated is strong;
--         a mention of allodynia or a first code of hypersensitive skin is weak
-- Unseen: what nobody wrote down, and few do
with

inside as (
    select
        episode.episode_id,
        episode.patient_index,
        episode.index_date,
        episode.follow_up_days,
        feed.has_notes
    from episode.episode as episode
    inner join episode.delivered_feed as feed using (episode_id)
    where episode.excluded_reason is null
),

-- What was noted before is no answer to this rise of the dose; what is noted later is too late.
noted as (
    select
        inside.episode_id,
        min(mention.mention_date - inside.index_date) filter (
            where mention.concept = 'opioid_induced_hyperalgesia'
        ) as hyperalgesia_day,
        min(mention.mention_date - inside.index_date) filter (
            where mention.concept = 'allodynia'
        ) as allodynia_day
    from inside
    inner join clean.note_mention as mention
        on
            inside.patient_index = mention.patient_index
            and not mention.is_negated
            and mention.mention_date between inside.index_date + $confirmation_from_day
            and inside.index_date + $confirmation_to_day
    group by all
),

coded as (
    select
        inside.episode_id,
        min(concept.coded_date - inside.index_date) as sensitivity_day
    from inside
    inner join trajectory.concept_day as concept
        on
            inside.patient_index = concept.patient_index
            and concept.concept = 'skin_hypersensitivity'
            and concept.coded_date between inside.index_date - $look_back_days
            and inside.index_date + $confirmation_to_day
    group by all
    having min(concept.coded_date - inside.index_date) >= $confirmation_from_day
),

judged as (
    select
        inside.episode_id,
        noted.hyperalgesia_day,
        noted.allodynia_day,
        coded.sensitivity_day,
        case
            when noted.hyperalgesia_day is not null then 'strong'
            when noted.allodynia_day is not null or coded.sensitivity_day is not null then 'weak'
        end as strength,
        case
            when not inside.has_notes then 'no_note_feed'
            when coalesce(inside.follow_up_days < $recognition_min_days, true)
                then 'follow_up_too_short'
        end as unread_reason
    from inside
    left join noted using (episode_id)
    left join coded using (episode_id)
),

vote as (
    select
        episode_id,
        'LF14' as rule,
        case
            when strength is not null then 'OIH'
            when unread_reason is not null then 'ABSTAIN'
            else 'NONE'
        end as vote,
        strength,
        case when strength is null then unread_reason end as abstain_reason,
        [
            {
                'name': 'day of a mention of hyperalgesia',
                'value': hyperalgesia_day::double,
                'threshold': $confirmation_to_day::double,
                'margin': ($confirmation_to_day - hyperalgesia_day)::double,
                'unit': 'day'
            },
            {
                'name': 'day of a mention of allodynia',
                'value': allodynia_day::double,
                'threshold': $confirmation_to_day::double,
                'margin': ($confirmation_to_day - allodynia_day)::double,
                'unit': 'day'
            },
            {
                'name': 'day of a first code of hypersensitive skin',
                'value': sensitivity_day::double,
                'threshold': $confirmation_to_day::double,
                'margin': ($confirmation_to_day - sensitivity_day)::double,
                'unit': 'day'
            }
        ] as evidence
    from judged
)

from vote
