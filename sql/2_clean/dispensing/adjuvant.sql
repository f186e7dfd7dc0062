-- Dispensings of adjuvants.
--
-- Grain:  one row per delivered transmission
-- Key:    adjuvant_id
-- Units:  strength in strength_unit; quantity in units dispensed; days_supply in days
-- Scope:  patient
-- Source: docs/dispensing_layout.md
-- Rows:   raw_dispensing.dispensing
with

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
adjuvant as (
    select
        'dispensing' as record_kind,
        fill.drug_text,
        fill.strength,
        fill.strength_unit,
        fill.route as route_text,
        fill.fill_date as start_date,
        fill.quantity,
        fill.days_supply,
        'dispensing' as source_table,
        fill.source_file,
        fill.source_row,
        'dispensing:' || fill.source_file || ':' || fill.source_row as adjuvant_id,
        'dispensing:' || fill.patient_id as patient_id,
        case
            when fill.drug_text is null then 'drug_not_named'
            when fill.is_opioid then 'opioid_product'
            when not fill.is_adjuvant then 'not_an_adjuvant'
            else fill.no_fill_reason
        end as excluded_reason
    from clean_dispensing.fill as fill
)

from adjuvant
