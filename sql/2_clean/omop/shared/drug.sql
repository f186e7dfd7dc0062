-- What was dispensed, ordered or given, with its drug named, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    drug_exposure_id
-- Units:  known_quantity in units; known_days_supply and largest_supply in days
-- Scope:  patient
-- Source: OMOP CDM 5.4; opioids in reference.opioid_name, adjuvants in reference.adjuvant_name,
--         kinds of record in reference.drug_record_kind, the longest supply in
--         reference.supply_limit
with

-- Concept 0 stands for no concept. A standard concept is named by RxNorm, strength and form
-- included; where the drug was not mapped, the source's own words may say as much.
named as (
    select
        exposure.*,
        coalesce(kind.record_kind, 'order') as kind,
        nullif(trim(coalesce(
            drug.concept_name, source_drug.concept_name, exposure.drug_source_value
        )), '') as drug_text,
        nullif(trim(coalesce(route.concept_name, exposure.route_source_value)), '') as route_text,
        case when source_drug.vocabulary_id = 'NDC' then source_drug.concept_code end as ndc
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

-- A quantity of 0 and a supply of 0 days are what the CDM has where nothing was delivered. A supply
-- longer than any that is lawful is the time between two dates. Either is unknown. The end of an
-- order is what the source said, never the one that the CDM demands and so infers.
drug as (
    select
        named.*,
        names_opioid(named.drug_text) as is_opioid,
        names_adjuvant(named.drug_text) as is_adjuvant,
        nullif(named.quantity, 0) as known_quantity,
        supply_limit.largest as largest_supply,
        case
            when named.days_supply between 1 and supply_limit.largest then named.days_supply
        end as known_days_supply,
        case
            when
                kind = 'order'
                and named.verbatim_end_date - named.drug_exposure_start_date + 1
                between 1 and supply_limit.largest
                then named.verbatim_end_date
        end as ordered_until_date
    from named
    left join reference.supply_limit as supply_limit on supply_limit.limited = 'days_supply'
)

from drug
