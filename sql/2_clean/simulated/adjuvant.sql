-- Simulated dispensings of adjuvants.
--
-- Grain:  one row per delivered fill
-- Key:    adjuvant_id
-- Units:  strength in strength_unit; quantity in units dispensed; days_supply in days
-- Scope:  patient
-- Source: adjuvants in reference.adjuvant_name, opioids in reference.opioid_name
-- Rows:   raw_simulated.prescription, raw_simulated.adjuvant
with

-- The simulated pharmacy writes fills of opioids and of other drugs into two files, each numbered
-- for itself.
fill as (
    select
        patient_id,
        drug_text,
        strength,
        strength_unit,
        route,
        fill_date,
        quantity,
        days_supply,
        'prescription' as source_table,
        source_file,
        source_row,
        'simulated:' || prescription_id as adjuvant_id
    from raw_simulated.prescription
    union all by name
    select
        patient_id,
        drug_text,
        fill_date,
        quantity,
        days_supply,
        'adjuvant' as source_table,
        source_file,
        source_row,
        'simulated:adjuvant:' || adjuvant_id as adjuvant_id
    from raw_simulated.adjuvant
),

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
        fill.source_table,
        fill.source_file,
        fill.source_row,
        fill.adjuvant_id,
        'simulated:' || fill.patient_id as patient_id,
        case
            when names_opioid(fill.drug_text) then 'opioid_product'
            when not names_adjuvant(fill.drug_text) then 'not_an_adjuvant'
        end as excluded_reason
    from fill
)

from adjuvant
