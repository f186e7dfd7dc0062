-- What was ordered, dispensed or given, with its drug named, of a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationRequest, MedicationDispense and MedicationAdministration
-- Key:    resource_type, source_file, source_row
-- Units:  as delivered
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), Medication; opioids in reference.opioid_name, adjuvants in
--         reference.adjuvant_name, states in reference.fhir_status
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
    union all by name
    select
        'MedicationAdministration' as resource_type,
        'medication_administration' as source_table,
        'administration' as record_kind,
        * exclude (resource_type)
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
        on fhir_id(delivered.medication_reference) = medication.id
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

drug as (
    select
        named.*,
        names_opioid(named.drug_text) as is_opioid,
        names_adjuvant(named.drug_text) as is_adjuvant,
        status.excluded_reason as status_reason,
        'fhir:' || fhir_id(named.subject) as patient_id
    from named
    left join reference.fhir_status as status
        on named.resource_type = status.resource_type and named.status = status.status
)

from drug
