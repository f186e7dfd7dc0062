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

-- Each text is searched once, with everything that is no letter made a blank: a name must stand
-- there as whole words.
drug_words as (
    select distinct
        description,
        ' ' || regexp_replace(lower(description), '[^a-z]+', ' ', 'g') || ' ' as words
    from raw_synthea.medications
),

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
opioid as (
    select drug_words.description
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

adjuvant_drug as (
    select drug_words.description
    from drug_words
    semi join reference.adjuvant_name as adjuvant_name
        on contains(drug_words.words, ' ' || adjuvant_name.word || ' ')
),

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
            when opioid.description is not null then 'opioid_product'
            when adjuvant_drug.description is null then 'not_an_adjuvant'
        end as excluded_reason
    from raw_synthea.medications as medication
    left join opioid on medication.description = opioid.description
    left join adjuvant_drug on medication.description = adjuvant_drug.description
)

from adjuvant
