-- Opioid doses given, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    administration_id
-- Units:  amount in amount_unit, given between started_at and ended_at
-- Scope:  patient
-- Source: OMOP CDM 5.4; opioids in reference.opioid_name, kinds of record in
--         reference.drug_record_kind
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

-- A quantity of 0 is what the CDM has where nothing was delivered.
administration as (
    select
        recorded.drug_text,
        recorded.route_text,
        'drug_exposure' as source_table,
        recorded.source_file,
        recorded.source_row,
        'omop:' || recorded.drug_exposure_id as administration_id,
        'omop:' || recorded.person_id as patient_id,
        nullif(trim(recorded.dose_unit_source_value), '') as amount_unit,
        coalesce(
            recorded.drug_exposure_start_datetime, recorded.drug_exposure_start_date::timestamp
        ) as started_at,
        case
            when recorded.drug_exposure_end_datetime > recorded.drug_exposure_start_datetime
                then recorded.drug_exposure_end_datetime
        end as ended_at,
        case
            when coalesce(recorded.quantity, 0) = 0 then 'dose_not_charted'
            when amount_unit is null then 'unit_not_charted'
        end as amount_unknown_reason,
        case when amount_unknown_reason is null then recorded.quantity end as amount,
        case
            when recorded.drug_text is null then 'drug_not_named'
            when opioid.drug_text is null then 'not_an_opioid'
            when recorded.kind <> 'administration' then 'not_an_administration'
        end as excluded_reason
    from recorded
    left join opioid on recorded.drug_text = opioid.drug_text
)

from administration
