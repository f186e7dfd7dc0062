-- Simulated dispensings of adjuvants. The simulated clinic prescribes none yet.
--
-- Grain:  one row per delivered fill
-- Key:    adjuvant_id
-- Units:  strength in strength_unit; quantity in units dispensed; days_supply in days
-- Scope:  patient
-- Source: adjuvants in reference.adjuvant_name, opioids in reference.opioid_name
-- Rows:   raw_simulated.prescription
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
        'prescription' as source_table,
        fill.source_file,
        fill.source_row,
        'simulated:' || fill.prescription_id as adjuvant_id,
        'simulated:' || fill.patient_id as patient_id,
        case
            when names_opioid(fill.drug_text) then 'opioid_product'
            when not names_adjuvant(fill.drug_text) then 'not_an_adjuvant'
        end as excluded_reason
    from raw_simulated.prescription as fill
)

from adjuvant
