-- Pain scores of a FHIR bulk export, as delivered.
--
-- Grain:  one row per delivered Observation
-- Key:    pain_score_id
-- Units:  score on the range of its instrument
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Observation; LOINC codes of pain scores in reference.pain_item,
--         scales in reference.pain_scale, settings in reference.fhir_encounter_class, states in
--         reference.fhir_status
-- Rows:   raw_fhir.observation
with

-- The observation itself, and each that it is made of.
measured as (
    select
        id,
        0 as place,
        code,
        value_number,
        value_comparator,
        value_integer,
        value_text,
        value_concept,
        absent_reason
    from raw_fhir.observation
    union all by name
    select
        id,
        place,
        part['code'] as code,
        part['valueQuantity']['value'] as value_number,
        part['valueQuantity']['comparator'] as value_comparator,
        part['valueInteger'] as value_integer,
        part['valueString'] as value_text,
        part['valueCodeableConcept'] as value_concept,
        part['dataAbsentReason'] as absent_reason
    from (
        select
            id,
            unnest(range(1, json_array_length(component)::bigint + 1)) as place,
            unnest(
                json_transform(
                    component,
                    '[{
                        "code": "JSON", "valueInteger": "DOUBLE", "valueString": "VARCHAR",
                        "valueQuantity": {"value": "DOUBLE", "comparator": "VARCHAR"},
                        "valueCodeableConcept": "JSON", "dataAbsentReason": "JSON"
                    }]'
                )
            ) as part
        from raw_fhir.observation
        where component is not null
    ) as component
),

coding as (
    select
        id,
        place,
        unnest(
            json_transform(code, '{"coding": [{"system": "VARCHAR", "code": "VARCHAR"}]}').coding
        ) as coding
    from measured
),

-- Of two codes for one question the one that asks about now tells more.
item as (
    select
        coding.id,
        coding.place,
        known.instrument,
        known.recall,
        scale.nrs_use = 'never' as is_never_used
    from coding
    inner join reference.pain_item as known
        on
            known.source in ('loinc', 'fhir')
            and coding.coding.system in ('http://loinc.org', 'urn:oid:2.16.840.1.113883.6.1')
            and coding.coding.code = known.item_code
    left join reference.pain_scale as scale on known.instrument = scale.instrument
    qualify row_number() over (
        partition by coding.id, coding.place
        order by known.recall <> 'now', known.item_code
    ) = 1
),

-- A number that is only a bound (">7") is text.
answered as (
    select
        item.*,
        measured.absent_reason,
        case
            when measured.value_comparator is null
                then coalesce(measured.value_number, measured.value_integer)
        end as score,
        coalesce(
            measured.value_text,
            json_extract_string(measured.value_concept, '$.text'),
            json_extract_string(measured.value_concept, '$.coding[0].display'),
            json_extract_string(measured.value_concept, '$.coding[0].code'),
            measured.value_comparator || measured.value_number
        ) as answer_text,
        score is not null or answer_text is not null as is_answered
    from item
    inner join measured on item.id = measured.id and item.place = measured.place
),

-- One score stands for the resource: one with an answer before one without, its own before one it
-- is made of, one that may stand beside the NRS, pain now before another recall, else the first.
-- The others are only counted. Why there is no answer is text.
scored as (
    select
        id,
        instrument,
        recall,
        score,
        coalesce(
            answer_text,
            json_extract_string(absent_reason, '$.coding[0].code'),
            json_extract_string(absent_reason, '$.text')
        ) as score_text,
        count(*) filter (is_answered) over (partition by id) - is_answered::integer
            as other_score_count
    from answered
    qualify row_number() over (
        partition by id
        order by not is_answered, place > 0, is_never_used, recall <> 'now', place
    ) = 1
),

-- A time keeps the clock it was delivered with: what is 23:30-05:00 was said that evening, not the
-- next day in Greenwich.
read as (
    select
        observation.*,
        scored.instrument,
        scored.recall,
        scored.score,
        scored.score_text,
        scored.other_score_count,
        status.excluded_reason as status_reason,
        class.setting,
        try_cast(
            regexp_extract(
                coalesce(
                    observation.effective_at, observation.effective_instant,
                    observation.started_at, observation.issued_at
                ),
                '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?'
            ) as timestamp
        ) as scored_at
    from raw_fhir.observation as observation
    left join scored on observation.id = scored.id
    left join reference.fhir_status as status
        on status.resource_type = 'Observation' and observation.status = status.status
    left join raw_fhir.encounter as encounter
        on fhir_id(observation.encounter) = encounter.id
    left join reference.fhir_encounter_class as class on encounter.class_code = class.class_code
),

pain_score as (
    select
        scored_at,
        instrument,
        recall,
        score,
        score_text,
        other_score_count,
        'observation' as source_table,
        source_file,
        source_row,
        'fhir:' || id as pain_score_id,
        'fhir:' || fhir_id(subject) as patient_id,
        coalesce(setting, 'unknown') as setting,
        case
            when instrument is null then 'not_a_pain_score'
            when status_reason is not null then status_reason
            when scored_at is null then 'day_not_known'
        end as excluded_reason
    from read
)

from pain_score
