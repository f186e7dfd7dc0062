-- Opioid doses given, in an OMOP CDM.
--
-- Grain:  one row per delivered drug exposure
-- Key:    administration_id
-- Units:  amount in amount_unit, given between started_at and ended_at
-- Scope:  patient
-- Source: OMOP CDM 5.4
-- Rows:   raw_omop.drug_exposure
with

-- A quantity of 0 is what the CDM has where nothing was delivered.
administration as (
    select
        drug_text,
        route_text,
        'drug_exposure' as source_table,
        source_file,
        source_row,
        'omop:' || drug_exposure_id as administration_id,
        'omop:' || person_id as patient_id,
        nullif(trim(dose_unit_source_value), '') as amount_unit,
        coalesce(
            drug_exposure_start_datetime, drug_exposure_start_date::timestamp
        ) as started_at,
        case
            when drug_exposure_end_datetime > drug_exposure_start_datetime
                then drug_exposure_end_datetime
        end as ended_at,
        case
            when coalesce(quantity, 0) = 0 then 'dose_not_charted'
            when amount_unit is null then 'unit_not_charted'
        end as amount_unknown_reason,
        case when amount_unknown_reason is null then quantity end as amount,
        case
            when drug_text is null then 'drug_not_named'
            when not is_opioid then 'not_an_opioid'
            when kind <> 'administration' then 'not_an_administration'
        end as excluded_reason
    from clean_omop.drug
)

from administration
