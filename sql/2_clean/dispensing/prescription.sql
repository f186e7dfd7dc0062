-- Dispensings of opioids.
--
-- Grain:  one row per delivered transmission
-- Key:    prescription_id
-- Units:  strength in strength_unit; quantity in quantity_unit; days_supply in days
-- Scope:  patient
-- Source: docs/dispensing_layout.md; units by reference.dispensing_code
-- Rows:   raw_dispensing.dispensing
with

-- A code that stands in no table stands for the drug: nobody knows that it is no opioid.
prescription as (
    select
        'dispensing' as record_kind,
        coalesce(fill.drug_text, fill.ndc) as drug_text,
        fill.ndc,
        fill.strength,
        fill.strength_unit,
        fill.route as route_text,
        fill.fill_date as start_date,
        fill.quantity,
        fill.days_supply,
        'dispensing' as source_table,
        fill.source_file,
        fill.source_row,
        coalesce(unit.meaning, fill.quantity_unit) as quantity_unit,
        'dispensing:' || fill.source_file || ':' || fill.source_row as prescription_id,
        'dispensing:' || fill.patient_id as patient_id,
        case
            when coalesce(fill.drug_text, fill.ndc) is null then 'drug_not_named'
            when not fill.is_opioid and fill.drug_text is not null then 'not_an_opioid'
            else fill.no_fill_reason
        end as excluded_reason
    from clean_dispensing.fill as fill
    left join reference.dispensing_code as unit
        on
            unit.column_name = 'quantity_unit'
            and lower(trim(fill.quantity_unit)) = unit.code
)

from prescription
