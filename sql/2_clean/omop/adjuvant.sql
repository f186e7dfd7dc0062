-- Adjuvants dispensed, ordered or given, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    adjuvant_id
-- Units:  quantity in units; days_supply in days
-- Scope:  patient
-- Source: OMOP CDM 5.4; adjuvants in reference.adjuvant_name, opioids in reference.opioid_name,
--         kinds of record in reference.drug_record_kind, the longest supply in
--         reference.supply_limit
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
        nullif(trim(coalesce(route.concept_name, exposure.route_source_value)), '') as route_text
    from raw_omop.drug_exposure as exposure
    left join raw_omop.concept as drug
        on exposure.drug_concept_id = drug.concept_id and drug.concept_id <> 0
    left join raw_omop.concept as source_drug
        on exposure.drug_source_concept_id = source_drug.concept_id and source_drug.concept_id <> 0
    left join raw_omop.concept as route
        on exposure.route_concept_id = route.concept_id and route.concept_id <> 0
    left join reference.drug_record_kind as kind
        on exposure.drug_type_concept_id = kind.type_concept_id
),

-- Each text is searched once, with everything that is no letter made a blank: a name must stand
-- there as whole words.
drug_words as (
    select distinct
        drug_text,
        ' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ' as words
    from recorded
),

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
opioid as (
    select drug_words.drug_text
    from drug_words
    semi join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

adjuvant_drug as (
    select drug_words.drug_text
    from drug_words
    semi join reference.adjuvant_name as adjuvant_name
        on contains(drug_words.words, ' ' || adjuvant_name.word || ' ')
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

-- The end of an order is what the source said, never the one that the CDM demands and so infers.
adjuvant as (
    select
        supplied.kind as record_kind,
        supplied.drug_text,
        supplied.route_text,
        supplied.drug_exposure_start_date as start_date,
        supplied.known_quantity as quantity,
        supplied.known_days_supply as days_supply,
        'drug_exposure' as source_table,
        supplied.source_file,
        supplied.source_row,
        'omop:' || supplied.drug_exposure_id as adjuvant_id,
        'omop:' || supplied.person_id as patient_id,
        case
            when
                supplied.kind = 'order'
                and supplied.verbatim_end_date - supplied.drug_exposure_start_date + 1
                between 1 and supplied.largest_supply
                then supplied.verbatim_end_date
        end as end_date,
        case
            when supplied.drug_text is null then 'drug_not_named'
            when opioid.drug_text is not null then 'opioid_product'
            when adjuvant_drug.drug_text is null then 'not_an_adjuvant'
            when supplied.kind in ('medication_list', 'self_report') then supplied.kind
        end as excluded_reason
    from supplied
    left join opioid on supplied.drug_text = opioid.drug_text
    left join adjuvant_drug on supplied.drug_text = adjuvant_drug.drug_text
)

from adjuvant
