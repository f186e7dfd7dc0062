-- Opioids dispensed or ordered, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    prescription_id
-- Units:  strength in strength_unit; quantity in units; days_supply in days
-- Scope:  patient
-- Source: OMOP CDM 5.4; opioids in reference.opioid_name, kinds of record in
--         reference.drug_record_kind, the longest supply in reference.supply_limit, visits in
--         reference.visit_setting
-- Rows:   raw_omop.drug_exposure
with

-- Concept 0 stands for no concept. A standard concept is named by RxNorm, strength and form
-- included; where the drug was not mapped, the source's own words may say as much.
recorded as (
    select
        exposure.*,
        coalesce(kind.record_kind, 'order') as kind,
        nullif(trim(coalesce(
            drug.concept_name, source_drug.concept_name, exposure.drug_source_value
        )), '') as drug_text,
        nullif(trim(coalesce(route.concept_name, exposure.route_source_value)), '') as route_text,
        case when source_drug.vocabulary_id = 'NDC' then source_drug.concept_code end as ndc,
        case when setting.setting in ('inpatient', 'outpatient') then setting.setting end
            as visit_setting
    from raw_omop.drug_exposure as exposure
    left join raw_omop.concept as drug
        on exposure.drug_concept_id = drug.concept_id and drug.concept_id <> 0
    left join raw_omop.concept as source_drug
        on exposure.drug_source_concept_id = source_drug.concept_id and source_drug.concept_id <> 0
    left join raw_omop.concept as route
        on exposure.route_concept_id = route.concept_id and route.concept_id <> 0
    left join reference.drug_record_kind as kind
        on exposure.drug_type_concept_id = kind.type_concept_id
    left join raw_omop.visit_occurrence as visit
        on exposure.visit_occurrence_id = visit.visit_occurrence_id
    left join reference.visit_setting as setting
        on setting.source = 'omop' and visit.visit_concept_id::varchar = setting.visit_code
),

-- Each text is searched once, with everything that is no letter made a blank: a name must stand
-- there as whole words. A part of a word would make an opioid of ipratropium and of tiotropium.
drug_words as (
    select distinct
        drug_text,
        ' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from recorded
),

opioid as (
    select drug_words.drug_text
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

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

-- A quantity of 0 and a supply of 0 days are what the CDM has where nothing was delivered. A supply
-- longer than any that is lawful is the time between two dates. Either is unknown.
supplied as (
    select
        recorded.*,
        nullif(recorded.quantity, 0) as known_quantity,
        supply_limit.largest as largest_supply,
        case
            when recorded.days_supply between 1 and supply_limit.largest then recorded.days_supply
        end as known_days_supply
    from recorded
    cross join reference.supply_limit as supply_limit
    where supply_limit.limited = 'days_supply'
),

-- The end of an order is what the source said, never the one that the CDM demands and so infers. An
-- order is for the visit in which it was recorded; that of an emergency may be for home.
prescription as (
    select
        case supplied.kind when 'dispensing' then 'dispensing' else 'order' end as record_kind,
        supplied.drug_text,
        known_strength.strength,
        known_strength.strength_unit,
        supplied.route_text,
        supplied.ndc,
        supplied.drug_exposure_start_date as start_date,
        supplied.known_quantity as quantity,
        supplied.known_days_supply as days_supply,
        'drug_exposure' as source_table,
        supplied.source_file,
        supplied.source_row,
        'omop:' || supplied.drug_exposure_id as prescription_id,
        'omop:' || supplied.person_id as patient_id,
        case when supplied.kind <> 'dispensing' then supplied.visit_setting end as care_setting,
        case
            when
                supplied.kind = 'order'
                and supplied.verbatim_end_date - supplied.drug_exposure_start_date + 1
                between 1 and supplied.largest_supply
                then supplied.verbatim_end_date
        end as end_date,
        case
            when supplied.days_supply > supplied.largest_supply then 'days_supply_out_of_range'
            when supplied.days_supply <= 0 then 'days_supply_not_positive'
            when supplied.quantity = 0 then 'zero_quantity'
            when supplied.quantity is null then 'no_quantity'
        end as dose_unknown_reason,
        case
            when supplied.drug_text is null then 'drug_not_named'
            when opioid.drug_text is null then 'not_an_opioid'
            when supplied.kind not in ('dispensing', 'order') then supplied.kind
        end as excluded_reason
    from supplied
    left join opioid on supplied.drug_text = opioid.drug_text
    left join known_strength on supplied.drug_concept_id = known_strength.drug_concept_id
)

from prescription
