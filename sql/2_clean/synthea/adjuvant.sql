-- Adjuvants in a Synthea CSV export.
--
-- Grain:  one row per delivered medication
-- Key:    adjuvant_id
-- Units:  none; no quantity is delivered
-- Scope:  patient
-- Source: Synthea CSV File Data Dictionary (github.com/synthetichealth/synthea/wiki);
--         adjuvants in reference.adjuvant_name, opioids in reference.opioid_name
-- Rows:   raw_synthea.medications
with

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
adjuvant as (
    select
        'order' as record_kind,
        medication.description as drug_text,
        'medications' as source_table,
        medication.source_file,
        medication.source_row,
        'synthea:' || medication.source_file || ':' || medication.source_row as adjuvant_id,
        'synthea:' || medication.patient as patient_id,
        try_cast(left(medication.start_text, 10) as date) as start_date,
        try_cast(left(medication.stop_text, 10) as date) as end_date,
        case
            when names_opioid(medication.description) then 'opioid_product'
            when not names_adjuvant(medication.description) then 'not_an_adjuvant'
        end as excluded_reason
    from raw_synthea.medications as medication
)

from adjuvant
