-- Opioid doses given, of a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationAdministration
-- Key:    administration_id
-- Units:  amount in amount_unit, given between started_at and ended_at
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), MedicationAdministration, Medication; opioids in
--         reference.opioid_name, states in reference.fhir_status
-- Rows:   raw_fhir.medication_administration
with

delivered as (
    from raw_fhir.medication_administration
),

-- A drug is named in the resource itself, in one within it, or in one delivered beside it.
referred as (
    select
        delivered.*,
        json_transform(
            coalesce(
                delivered.medication_concept,
                list_filter(
                    json_transform(delivered.contained, '[{"id": "VARCHAR", "code": "JSON"}]'),
                    lambda part: '#' || part['id'] = delivered.medication_reference
                )[1]['code'],
                medication.code
            ),
            '{
                "text": "VARCHAR",
                "coding": [{"system": "VARCHAR", "code": "VARCHAR", "display": "VARCHAR"}]
            }'
        ) as drug
    from delivered
    left join raw_fhir.medication as medication
        on regexp_extract(
            delivered.medication_reference,
            '^(?:[^?#]*?/|urn:uuid:)?([A-Za-z0-9.-]+)(?:/_history/.*)?$', 1
        ) = medication.id
),

-- RxNorm's own words before the hospital's; but of all, those with a number in them, since only
-- they can tell a strength.
candidate as (
    select
        *,
        list_filter(
            list_concat(
                list_transform(
                    list_filter(
                        drug['coding'],
                        lambda coding: coding['system']
                        = 'http://www.nlm.nih.gov/research/umls/rxnorm'
                    ),
                    lambda coding: coding['display']
                ),
                [drug['text']],
                list_transform(drug['coding'], lambda coding: coding['display'])
            ),
            lambda name: trim(name) <> ''
        ) as names,
        list_filter(
            drug['coding'], lambda coding: coding['system'] = 'http://hl7.org/fhir/sid/ndc'
        )[1]['code'] as ndc
    from referred
),

-- A drug without words is what the study's own table of codes says that it is.
named as (
    select
        candidate.* exclude (drug, names),
        trim(
            coalesce(
                list_filter(candidate.names, lambda name: regexp_matches(name, '[0-9]'))[1],
                candidate.names[1],
                known.drug_text
            )
        ) as drug_text
    from candidate
    left join reference.ndc_text as known on trim(candidate.ndc) = known.ndc
),

-- Each text is searched once, with everything that is no letter made a blank: a name must stand
-- there as whole words.
drug_words as (
    select distinct
        drug_text,
        ' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from named
),

opioid as (
    select drug_words.drug_text
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

-- A time keeps the clock it was delivered with; a date alone is its midnight, a date without a day
-- is none.
judged as (
    select
        named.* exclude (started_at, ended_at),
        opioid.drug_text is not null as is_opioid,
        status.excluded_reason as status_reason,
        try_cast(
            regexp_extract(
                coalesce(named.effective_at, named.started_at),
                '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?'
            ) as timestamp
        ) as started_at,
        try_cast(
            regexp_extract(
                named.ended_at, '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?'
            ) as timestamp
        ) as ended_at,
        coalesce(named.dose_unit, named.dose_code) as amount_unit
    from named
    left join opioid on named.drug_text = opioid.drug_text
    left join reference.fhir_status as status
        on status.resource_type = 'MedicationAdministration' and named.status = status.status
),

-- Of what was stopped or still runs nobody knows how much was given; nor of an infusion by its
-- rate, which may have been changed.
unread as (
    select
        *,
        case
            when status = 'stopped' then 'administration_stopped'
            when status = 'in-progress' then 'administration_in_progress'
            when coalesce(status, 'unknown') = 'unknown' then 'status_unknown'
            when dose is null and coalesce(rate_quantity, rate_ratio) is not null
                then 'infusion_amount_not_charted'
            when dose is null then 'dose_not_charted'
            when amount_unit is null then 'unit_not_charted'
        end as amount_unknown_reason
    from judged
),

administration as (
    select
        drug_text,
        started_at,
        ended_at,
        amount_unit,
        amount_unknown_reason,
        'medication_administration' as source_table,
        source_file,
        source_row,
        coalesce(
            json_extract_string(route, '$.text'), json_extract_string(route, '$.coding[0].display')
        ) as route_text,
        case when amount_unknown_reason is null then dose end as amount,
        'fhir:' || id as administration_id,
        'fhir:' || regexp_extract(
            subject, '^(?:[^?#]*?/|urn:uuid:)?([A-Za-z0-9.-]+)(?:/_history/.*)?$', 1
        ) as patient_id,
        case
            when drug_text is null then 'drug_not_named'
            when not is_opioid then 'not_an_opioid'
            when status_reason is not null then status_reason
            when started_at is null then 'day_not_known'
        end as excluded_reason
    from unread
)

from administration
