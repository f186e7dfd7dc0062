-- Prescriptions and dispenses of adjuvants in a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationRequest and MedicationDispense
-- Key:    adjuvant_id
-- Units:  quantity in units dispensed
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), MedicationRequest, MedicationDispense
-- Rows:   raw_fhir.medication_request, raw_fhir.medication_dispense
with

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product. A date without
-- a day is none.
judged as (
    select
        *,
        try_cast(regexp_extract(delivered_at, '^\d{4}-\d{2}-\d{2}') as date) as start_date
    from clean_fhir.drug
    where record_kind <> 'administration'
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
        patient_id,
        case
            when lower(coalesce(supply_code, supply_unit, 'd')) in ('d', 'day', 'days')
                then round(supply_duration)
        end as days_supply,
        'fhir:' || resource_type || '/' || id as adjuvant_id,
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
