-- Simulated dispensings of opioids.
--
-- Grain:  one row per delivered fill
-- Key:    prescription_id
-- Units:  strength in strength_unit; quantity in tablets, patches or mL; days_supply in days
-- Scope:  patient
-- Source: opioids in reference.opioid_name
-- Rows:   raw_simulated.prescription
with

-- Each text is searched once, with everything that is no letter made a blank, so that a name
-- stands there only as whole words.
drug_words as (
    select distinct
        drug_text,
        ' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from raw_simulated.prescription
),

opioid as (
    select drug_words.drug_text
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

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
        case when opioid.drug_text is null then 'not_an_opioid' end as excluded_reason
    from raw_simulated.prescription as fill
    left join opioid on fill.drug_text = opioid.drug_text
)

from prescription
