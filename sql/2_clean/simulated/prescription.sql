-- Simulated dispensings of opioids.
--
-- Grain:  one row per delivered fill
-- Key:    prescription_id
-- Units:  strength in strength_unit; quantity in tablets, patches or mL; days_supply in days
-- Scope:  patient
-- Source: opioids in reference.opioid_name
-- Rows:   raw_simulated.prescription
with

prescription as (
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
        'simulated:' || fill.prescription_id as prescription_id,
        'simulated:' || fill.patient_id as patient_id,
        case when not names_opioid(fill.drug_text) then 'not_an_opioid' end as excluded_reason
    from raw_simulated.prescription as fill
)

from prescription
