-- Prescriptions and dispenses of adjuvants in a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationRequest and MedicationDispense
-- Key:    adjuvant_id
-- Units:  quantity in units dispensed
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), MedicationRequest, MedicationDispense, Medication; adjuvants in
--         reference.adjuvant_name, opioids in reference.opioid_name, states in
--         reference.fhir_status
-- Rows:   raw_fhir.medication_request, raw_fhir.medication_dispense
with

delivered as (
    select
        'MedicationRequest' as resource_type,
        'medication_request' as source_table,
        'order' as record_kind,
        authored_at as delivered_at,
        * exclude (resource_type, authored_at)
    from raw_fhir.medication_request
    union all by name
    select
        'MedicationDispense' as resource_type,
        'medication_dispense' as source_table,
        'dispensing' as record_kind,
        coalesce(handed_over_at, prepared_at) as delivered_at,
        * exclude (resource_type, handed_over_at, prepared_at)
    from raw_fhir.medication_dispense
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

adjuvant_drug as (
    select drug_words.drug_text
    from drug_words
    semi join reference.adjuvant_name as adjuvant_name
        on contains(drug_words.words, ' ' || adjuvant_name.word || ' ')
),

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product. A date without
-- a day is none.
judged as (
    select
        named.*,
        opioid.drug_text is not null as is_opioid,
        adjuvant_drug.drug_text is not null as is_adjuvant,
        status.excluded_reason as status_reason,
        try_cast(regexp_extract(named.delivered_at, '^\d{4}-\d{2}-\d{2}') as date)
            as start_date
    from named
    left join opioid on named.drug_text = opioid.drug_text
    left join adjuvant_drug on named.drug_text = adjuvant_drug.drug_text
    left join reference.fhir_status as status
        on named.resource_type = status.resource_type and named.status = status.status
),

adjuvant as (
    select
        record_kind,
        drug_text,
        start_date,
        quantity,
        source_table,
        source_file,
        source_row,
        case
            when lower(coalesce(supply_code, supply_unit, 'd')) in ('d', 'day', 'days')
                then round(supply_duration)
        end as days_supply,
        'fhir:' || resource_type || '/' || id as adjuvant_id,
        'fhir:' || regexp_extract(
            subject, '^(?:[^?#]*?/|urn:uuid:)?([A-Za-z0-9.-]+)(?:/_history/.*)?$', 1
        ) as patient_id,
        case
            when drug_text is null then 'drug_not_named'
            when is_opioid then 'opioid_product'
            when not is_adjuvant then 'not_an_adjuvant'
            when status_reason is not null then status_reason
            when do_not_perform then 'drug_forbidden'
            when intent in ('proposal', 'plan', 'option') then 'not_an_order'
            when start_date is null then 'day_not_known'
        end as excluded_reason
    from judged
)

from adjuvant
