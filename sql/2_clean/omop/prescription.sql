-- Opioids dispensed or ordered, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    prescription_id
-- Units:  strength in strength_unit; quantity in units; days_supply in days
-- Scope:  patient
-- Source: OMOP CDM 5.4; opioids in reference.opioid_name, visits in reference.visit_setting
-- Rows:   raw_omop.drug_exposure
with

-- Strength of the opioid in a product, the others' left out; a concentration is per one of its
-- denominator. A product of two opioids, or with two strengths over time, has none.
opioid_strength as (
    select
        strength.drug_concept_id,
        min(
            coalesce(
                strength.amount_value,
                strength.numerator_value / coalesce(nullif(strength.denominator_value, 0), 1)
            )
        ) as least,
        max(
            coalesce(
                strength.amount_value,
                strength.numerator_value / coalesce(nullif(strength.denominator_value, 0), 1)
            )
        ) as most,
        min(
            coalesce(
                amount_unit.concept_code,
                numerator_unit.concept_code || '/' || denominator_unit.concept_code
            )
        ) as first_unit,
        max(
            coalesce(
                amount_unit.concept_code,
                numerator_unit.concept_code || '/' || denominator_unit.concept_code
            )
        ) as last_unit
    from raw_omop.drug_strength as strength
    inner join raw_omop.concept as ingredient
        on strength.ingredient_concept_id = ingredient.concept_id
    semi join reference.opioid_name as opioid_name
        on lower(ingredient.concept_name) = opioid_name.word
    left join raw_omop.concept as amount_unit
        on strength.amount_unit_concept_id = amount_unit.concept_id
    left join raw_omop.concept as numerator_unit
        on strength.numerator_unit_concept_id = numerator_unit.concept_id
    left join raw_omop.concept as denominator_unit
        on strength.denominator_unit_concept_id = denominator_unit.concept_id
    group by strength.drug_concept_id
),

-- UCUM writes what it has no unit for in braces: mg/{actuat}.
known_strength as (
    select
        drug_concept_id,
        least as strength,
        replace(replace(first_unit, '{', ''), '}', '') as strength_unit
    from opioid_strength
    where least = most and least > 0 and first_unit = last_unit
),

-- An order is for the visit in which it was recorded; that of an emergency may be for home.
prescription as (
    select
        case drug.kind when 'dispensing' then 'dispensing' else 'order' end as record_kind,
        drug.drug_text,
        known_strength.strength,
        known_strength.strength_unit,
        drug.route_text,
        drug.ndc,
        drug.drug_exposure_start_date as start_date,
        drug.ordered_until_date as end_date,
        drug.known_quantity as quantity,
        drug.known_days_supply as days_supply,
        'drug_exposure' as source_table,
        drug.source_file,
        drug.source_row,
        'omop:' || drug.drug_exposure_id as prescription_id,
        'omop:' || drug.person_id as patient_id,
        case
            when drug.kind <> 'dispensing' and setting.setting in ('inpatient', 'outpatient')
                then setting.setting
        end as care_setting,
        case
            when drug.days_supply > drug.largest_supply then 'days_supply_out_of_range'
            when drug.days_supply <= 0 then 'days_supply_not_positive'
            when drug.quantity = 0 then 'zero_quantity'
            when drug.quantity is null then 'no_quantity'
        end as dose_unknown_reason,
        case
            when drug.drug_text is null then 'drug_not_named'
            when not drug.is_opioid then 'not_an_opioid'
            when drug.kind not in ('dispensing', 'order') then drug.kind
        end as excluded_reason
    from clean_omop.drug as drug
    left join known_strength on drug.drug_concept_id = known_strength.drug_concept_id
    left join raw_omop.visit_occurrence as visit
        on drug.visit_occurrence_id = visit.visit_occurrence_id
    left join reference.visit_setting as setting
        on setting.source = 'omop' and visit.visit_concept_id::varchar = setting.visit_code
)

from prescription
