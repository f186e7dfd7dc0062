-- Opioid medications in a Synthea CSV export.
--
-- Grain:  one row per delivered medication
-- Key:    prescription_id
-- Units:  none; no quantity is delivered
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki);
--         opioids in reference.opioid_name
-- Rows:   raw_synthea.medications
with

-- A row is in force from its start to its stop, like an order. How often it was dispensed is
-- delivered, how much and for how long each time is not, so no dose is known.
prescription as (
    select
        'order' as record_kind,
        medication.description as drug_text,
        'no_quantity' as dose_unknown_reason,
        'medications' as source_table,
        medication.source_file,
        medication.source_row,
        'synthea:' || medication.source_file || ':' || medication.source_row as prescription_id,
        'synthea:' || medication.patient as patient_id,
        try_cast(left(medication.start_text, 10) as date) as start_date,
        try_cast(left(medication.stop_text, 10) as date) as end_date,
        case
            when not names_opioid(medication.description) then 'not_an_opioid'
        end as excluded_reason
    from raw_synthea.medications as medication
)

from prescription
