-- What each recorded pain score says, and whether the study counts it.
--
-- Grain:  one row per score of clean.pain_score
-- Key:    pain_score_id
-- Units:  scale_score on the scale's own range, pain_nrs on the numeric rating scale, 0 to 10
-- Scope:  patient
-- Source: scales and conversions in reference.pain_scale, words in reference.pain_text; ranges as
--         midpoints and one scale per patient are design choices
with

-- Each distinct text is read once, however often it was charted.
charted as (
    select distinct
        source,
        instrument,
        score_text
    from clean.pain_score
),

plain as (
    select
        *,
        trim(score_text) as exact_text,
        trim(regexp_replace(lower(score_text), '\s+', ' ', 'g'), ' .') as plain_text
    from charted
    where trim(score_text) <> ''
),

-- Numbers are read only where they are all of the text: "7", "4-5", "7/10", "4 to 5 out of 10". A
-- comma may part two scores or be a decimal one, so it is not read.
parsed as (
    select
        *,
        regexp_extract(
            plain_text,
            '^([-+]?\d{1,6}(?:\.\d{1,6})?)'
            || '(?: ?(?:-|\x{2013}|to) ?(\d{1,6}(?:\.\d{1,6})?))?'
            || '(?: ?(?:/|of|out of) ?(\d{1,6}(?:\.\d{1,6})?))?$',
            ['low', 'high', 'largest']
        ) as part
    from plain
),

-- A source's own words come before those of any, a scale's before those of any scale.
worded as (
    select
        parsed.source,
        parsed.instrument,
        parsed.score_text,
        parsed.plain_text,
        word.score_text is not null as is_word,
        word.score as word_score,
        word.unknown_reason as word_reason,
        try_cast(parsed.part['low'] as double) as low,
        coalesce(
            try_cast(parsed.part['high'] as double), try_cast(parsed.part['low'] as double)
        ) as high,
        try_cast(parsed.part['largest'] as double) as stated_largest
    from parsed
    left join reference.pain_text as word
        on
            word.source in (parsed.source, 'any')
            and word.instrument in (parsed.instrument, 'any')
            and word.score_text
            = case word.source when 'any' then parsed.plain_text else parsed.exact_text end
    qualify
        row_number() over (
            partition by parsed.source, parsed.instrument, parsed.score_text
            order by word.source = 'any', word.instrument = 'any'
        ) = 1
),

-- Words for no pain on one scale are no score on another, but they bear out a zero.
no_pain as (
    select distinct score_text
    from reference.pain_text
    where source = 'any' and score = 0
),

-- "4/5" is out of five, or four to five; a wide range says nearly nothing.
text_reading as (
    select
        worded.source,
        worded.instrument,
        worded.score_text,
        coalesce(worded.word_score, worded.low) as low,
        coalesce(worded.word_score, worded.high) as high,
        worded.is_word and worded.word_reason is not null as is_refusal,
        not worded.is_word and worded.low is null as is_unread,
        no_pain.score_text is not null as says_no_pain,
        case
            when worded.is_word then 'word'
            when worded.low < worded.high then 'range'
            when worded.stated_largest is not null then 'fraction'
            when worded.low is not null then 'number'
        end as reading_kind,
        case
            when worded.is_word then worded.word_reason
            when worded.low is null then 'text_not_known'
            when worded.stated_largest <> scale.largest_score then 'other_denominator'
            when worded.high < worded.low then 'range_not_in_order'
            when
                10 * (worded.high - worded.low) / (scale.largest_score - scale.smallest_score)
                > $max_range_width_nrs
                then 'range_too_wide'
        end as unknown_reason
    from worded
    left join reference.pain_scale as scale on worded.instrument = scale.instrument
    left join no_pain on worded.plain_text = no_pain.score_text
),

-- A number delivered beside a text that can be read is a check, never a stand-in: where the two
-- disagree nobody can say which is right. A zero beside "unable to score" is such a number. Beside
-- a text that cannot be read the number stands, but a zero only where the text says no pain: it may
-- be another way to say that there is no score.
judged as (
    select
        score.pain_score_id,
        score.patient_index,
        score.source,
        score.scored_at,
        score.setting,
        score.instrument,
        scale.reported_by,
        scale.nrs_use,
        coalesce(scale.recall, score.recall) as recall,
        case
            when text.reading_kind is not null then text.reading_kind
            when score.score is not null then 'number'
        end as reading_kind,
        coalesce((text.low + text.high) / 2, score.score) as scale_score,
        case
            when scale.instrument is null then 'scale_not_known'
            when text.score_text is null and score.score is null then 'score_not_charted'
            when text.is_refusal and score.score is not null then 'number_contradicts_text'
            when text.is_unread and text.says_no_pain and score.score <> 0
                then 'number_contradicts_text'
            when
                text.unknown_reason is not null
                and not (
                    text.is_unread
                    and score.score is not null
                    and (text.says_no_pain or score.score <> 0)
                )
                then text.unknown_reason
            when score.score not between text.low and text.high then 'number_contradicts_text'
            when
                coalesce(text.low, score.score) < scale.smallest_score
                or coalesce(text.high, score.score) > scale.largest_score
                then 'out_of_range'
        end as unknown_reason
    from clean.pain_score as score
    left join reference.pain_scale as scale on score.instrument = scale.instrument
    left join text_reading as text
        on
            score.source = text.source
            and score.instrument = text.instrument
            and score.score_text = text.score_text
),

-- Of observed scales the study names none, since none stands beside the NRS.
converted as (
    select
        * exclude (scale_score),
        case when unknown_reason is null then scale_score end as scale_score,
        case
            when unknown_reason is not null then null
            when nrs_use = 'as_is' then scale_score
            when nrs_use = 'divided_by_10' then scale_score / 10
        end as pain_nrs,
        case
            when nrs_use is null then 'scale_not_known'
            when list_contains($pain_scales, instrument) and list_contains($pain_recall, recall)
                then null
            when list_contains($pain_scales, instrument) then 'other_recall'
            when reported_by = 'observed' then 'observed'
            else 'other_scale'
        end as other_reason
    from judged
),

-- A change between scales is no change of pain, so a patient keeps the scale of the first known
-- score in the settings that the study reads. Later scores cannot change what was read before.
first_scale as (
    select
        patient_index,
        first(
            instrument
            order by
                pain_nrs is null,
                not list_contains($pain_settings, setting),
                scored_at,
                list_position($pain_scales, instrument)
        ) as instrument
    from converted
    where other_reason is null
    group by all
),

pain_reading as (
    select
        score.pain_score_id,
        score.patient_index,
        score.source,
        score.scored_at,
        score.setting,
        score.instrument,
        score.recall,
        score.reading_kind,
        score.scale_score,
        score.unknown_reason,
        score.pain_nrs,
        case
            when score.other_reason is not null then score.other_reason
            when score.instrument <> first_scale.instrument then 'second_scale'
        end as not_counted_reason,
        not_counted_reason is null as is_counted
    from converted as score
    left join first_scale on score.patient_index = first_scale.patient_index
)

from pain_reading
