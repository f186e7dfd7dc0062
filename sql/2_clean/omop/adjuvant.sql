-- Adjuvants dispensed, ordered or given, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    adjuvant_id
-- Units:  quantity in units; days_supply in days
-- Scope:  patient
-- Source: OMOP CDM 5.4
-- Rows:   raw_omop.drug_exposure
with

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
adjuvant as (
    select
        kind as record_kind,
        drug_text,
        route_text,
        drug_exposure_start_date as start_date,
        ordered_until_date as end_date,
        known_quantity as quantity,
        known_days_supply as days_supply,
        'drug_exposure' as source_table,
        source_file,
        source_row,
        'omop:' || drug_exposure_id as adjuvant_id,
        'omop:' || person_id as patient_id,
        case
            when drug_text is null then 'drug_not_named'
            when is_opioid then 'opioid_product'
            when not is_adjuvant then 'not_an_adjuvant'
            when kind in ('medication_list', 'self_report') then kind
        end as excluded_reason
    from clean_omop.drug
)

from adjuvant
