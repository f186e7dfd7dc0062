-- The tier of each candidate episode: what the rules add up to, decided the same way every time.
--
-- Grain:  one row per episode that is not excluded
-- Key:    episode_id
-- Units:  none
-- Scope:  cohort
-- Source: design choice; every pattern of votes falls in exactly one tier
with

-- A rule that is not there has abstained.
spoken as (
    select
        *,
        vote not in ('NONE', 'ABSTAIN') as is_active,
        vote = 'OIH' as is_for
    from label.vote
),

-- Only what tiers are made of. Escalation without benefit (LF02) and a high dose (LF13) go with
-- most escalations, and relief (LF03, LF11) with tolerance: none of them moves a tier.
vote as (
    select
        episode_id,
        bool_or(rule = 'LF01' and is_for) as has_worsening,
        bool_or(rule = 'LF01' and is_for and strength = 'strong') as has_strong_worsening,
        bool_or(rule = 'LF04' and is_for) as has_slope,
        bool_or(rule = 'LF05' and is_for) as has_spread,
        bool_or(rule = 'LF06' and is_for and strength = 'strong') as has_strong_dechallenge,
        bool_or(rule = 'LF08' and is_for and strength = 'strong') as has_kept_response,
        bool_or(rule = 'LF14' and is_for and strength = 'strong') as has_recognition,
        -- Support comes from spread (G3), dechallenge and switches (G4) or recognition (G6).
        bool_or(rule in ('LF05', 'LF06', 'LF08', 'LF14', 'LF16') and is_for) as has_support,
        bool_or(rule in ('LF09', 'LF10', 'LF12', 'LF15') and is_active) as has_alternative,
        bool_or(rule = 'LF07' and is_active) as has_failed_dechallenge,
        bool_or(rule in ('LF06', 'LF07') and vote <> 'ABSTAIN') as has_dechallenge_read
    from spoken
    group by all
),

judged as (
    select
        profile.episode_id,
        profile.patient_index,
        profile.index_kind,
        profile.data_grade,
        profile.step_count,
        profile.not_classifiable_reason,
        coalesce(vote.has_worsening, false) as has_worsening,
        coalesce(vote.has_strong_worsening, false) as has_strong_worsening,
        coalesce(vote.has_slope, false) as has_slope,
        coalesce(vote.has_spread, false) as has_spread,
        coalesce(vote.has_support, false) as has_support,
        coalesce(vote.has_alternative, false) as has_alternative,
        coalesce(vote.has_failed_dechallenge, false) as has_failed_dechallenge,
        not coalesce(vote.has_dechallenge_read, false) as is_dechallenge_not_observed,
        coalesce(profile.data_grade in ('A', 'B'), false) as is_grade_b,
        coalesce(vote.has_worsening or vote.has_slope, false) as has_paradox,
        -- One further group beside the worsening: spread, or a paradox seen over two steps.
        coalesce(
            vote.has_strong_worsening
            or (vote.has_worsening and (vote.has_spread or profile.step_count >= 2)),
            false
        ) as is_probable,
        coalesce(
            vote.has_strong_dechallenge
            or vote.has_kept_response
            or (vote.has_recognition and vote.has_worsening),
            false
        ) as is_confirmed
    from episode.episode_profile as profile
    left join vote using (episode_id)
    where profile.excluded_reason is null
),

tiered as (
    select
        *,
        case
            when not_classifiable_reason is not null then 'insufficient_data'
            when has_failed_dechallenge then 'alternative_more_likely'
            when has_alternative and has_support then 'mixed'
            when has_alternative then 'alternative_more_likely'
            when not has_paradox then 'no_paradox'
            -- Where pain led, no dose challenged anything.
            when index_kind = 'pain_led' or not is_grade_b then 'possible'
            when is_confirmed then 'strong_candidate'
            when is_probable then 'probable'
            else 'possible'
        end as tier
    from judged
),

-- What the sentence says of a rule, with the values of its evidence. Most rules say nothing of most
-- episodes: only those with words are looked into.
worded as (
    select
        episode_id,
        rule,
        is_for,
        is_active,
        replace(abstain_reason, '_', ' ') as reason_words,
        -- The change of pain is the first value in points.
        list_filter(evidence, lambda item: item['unit'] = 'NRS point')[1] as main_value,
        list_filter(evidence, lambda item: item['margin'] < 0)[1] as first_miss,
        list_filter(evidence, lambda item: item['unit'] = 'ratio')[1]['value'] as dose_ratio
    from spoken
    where
        rule in ('LF01', 'LF06')
        or (rule in ('LF04', 'LF05', 'LF08', 'LF14', 'LF16') and is_for)
        or (rule = 'LF07' and is_active)
),

phrase as (
    select
        episode_id,
        rule,
        case rule
            when 'LF01'
                then case
                    when main_value['value'] is null
                        then 'the change of pain is not known'
                    else
                        concat(
                            if(main_value['value'] < 0, 'pain fell ', 'pain rose '),
                            round(abs(main_value['value']), 2),
                            ' points beyond expectation (threshold ',
                            round(main_value['threshold'], 2),
                            ')'
                        )
                        || coalesce(' at ' || round(dose_ratio, 2) || ' times the dose', '')
                        || case
                            when is_for then ''
                            when reason_words is not null then ', ' || reason_words
                            when main_value['margin'] < 0 or first_miss is null then ''
                            else concat(
                                ', but ',
                                first_miss['name'],
                                ' is ',
                                round(first_miss['value'], 2),
                                ' (threshold ',
                                round(first_miss['threshold'], 2),
                                ')'
                            )
                        end
                end
            when 'LF04' then if(is_for, 'pain goes up with the dose within this patient', null)
            when 'LF05' then if(is_for, 'pain spread to new places', null)
            when 'LF06'
                then case
                    when is_for
                        then concat(
                            'after a taper pain fell ',
                            round(-main_value['value'], 2),
                            ' points more than without one (threshold ',
                            round(-main_value['threshold'], 2),
                            ')'
                        )
                    when reason_words = 'no taper' then 'no taper to read'
                    when reason_words is not null
                        then 'no taper that can be read (' || reason_words || ')'
                    when main_value['value'] < 0
                        then concat(
                            'after a taper pain fell ',
                            round(-main_value['value'], 2),
                            ' points more than without one, short of the threshold (',
                            round(-main_value['threshold'], 2),
                            ')'
                        )
                    else 'after a taper pain did not fall more than without one'
                end
            when 'LF07' then if(is_active, 'after a taper pain rose', null)
            when 'LF08' then if(is_for, 'pain fell after a change of opioid', null)
            when 'LF14' then if(is_for, 'a clinician noted signs of hyperalgesia', null)
            when 'LF16'
                then if(is_for, 'pain fell when other treatment took the place of opioids', null)
        end as words
    from worded
),

alternative as (
    select
        episode_id,
        string_agg(
            case rule
                when 'LF09' then 'withdrawal'
                when 'LF10' then 'an acute cause'
                when 'LF12' then 'undertreatment'
                else 'a change of what reaches the body'
            end || ' (' || rule || ')',
            ', ' order by rule
        ) as words
    from spoken
    where rule in ('LF09', 'LF10', 'LF12', 'LF15') and is_active
    group by all
),

spelled as (
    select
        episode_id,
        string_agg(words, '; ' order by rule) filter (where rule in ('LF01', 'LF04', 'LF05'))
            as pain_words,
        string_agg(words, '; ' order by rule) filter (where rule not in ('LF01', 'LF04', 'LF05'))
            as later_words
    from phrase
    group by all
),

tier as (
    select
        tiered.episode_id,
        tiered.patient_index,
        tiered.index_kind,
        tiered.tier,
        tiered.data_grade,
        tiered.is_dechallenge_not_observed,
        -- Dates on which no dose was raised have no steps to repeat.
        tiered.tier = 'probable' and not (tiered.has_strong_worsening or tiered.has_spread)
            as is_probable_by_steps,
        upper(tiered.tier[1]) || replace(tiered.tier[2:], '_', ' ') || ': '
        || case
            when tiered.tier = 'insufficient_data'
                then replace(tiered.not_classifiable_reason, '_', ' ')
            else concat_ws(
                '; ',
                coalesce(spelled.pain_words, 'no rule looked at the change of pain'),
                if(
                    tiered.has_paradox and tiered.step_count >= 2,
                    'over ' || tiered.step_count || ' steps of the dose',
                    null
                ),
                coalesce('active alternative: ' || alternative.words, 'no alternative is active'),
                spelled.later_words,
                case
                    when
                        tiered.tier <> 'possible'
                        or not (tiered.is_probable or tiered.is_confirmed)
                        then null
                    when tiered.index_kind = 'pain_led' then 'no dose was raised, so not higher'
                    else 'scores are too few for a higher tier'
                end
            )
        end || '.' as explanation
    from tiered
    left join spelled using (episode_id)
    left join alternative using (episode_id)
)

from tier
