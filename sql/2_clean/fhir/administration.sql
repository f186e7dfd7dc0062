-- Opioid doses given, of a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationAdministration
-- Key:    administration_id
-- Units:  amount in amount_unit, given between started_at and ended_at
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), MedicationAdministration, Medication; opioids in
--         reference.opioid_name, states in reference.fhir_status
-- Rows:   raw_fhir.medication_administration
with

-- A time keeps the clock it was delivered with; a date alone is its midnight, a date without a day
-- is none.
judged as (
    select
        * exclude (started_at, ended_at),
        try_cast(
            regexp_extract(
                coalesce(effective_at, started_at),
                '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?'
            ) as timestamp
        ) as started_at,
        try_cast(
            regexp_extract(
                ended_at, '^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?'
            ) as timestamp
        ) as ended_at,
        coalesce(dose_unit, dose_code) as amount_unit
    from clean_fhir.drug
    where record_kind = 'administration'
),

-- Of what was stopped or still runs nobody knows how much was given; nor of an infusion by its
-- rate, which may have been changed.
unread as (
    select
        *,
        case
            when status = 'stopped' then 'administration_stopped'
            when status = 'in-progress' then 'administration_in_progress'
            when coalesce(status, 'unknown') = 'unknown' then 'status_unknown'
            when dose is null and coalesce(rate_quantity, rate_ratio) is not null
                then 'infusion_amount_not_charted'
            when dose is null then 'dose_not_charted'
            when amount_unit is null then 'unit_not_charted'
        end as amount_unknown_reason
    from judged
),

administration as (
    select
        drug_text,
        started_at,
        ended_at,
        amount_unit,
        amount_unknown_reason,
        'medication_administration' as source_table,
        source_file,
        source_row,
        patient_id,
        coalesce(
            json_extract_string(route, '$.text'), json_extract_string(route, '$.coding[0].display')
        ) as route_text,
        case when amount_unknown_reason is null then dose end as amount,
        'fhir:' || id as administration_id,
        case
            when drug_text is null then 'drug_not_named'
            when not is_opioid then 'not_an_opioid'
            when status_reason is not null then status_reason
            when started_at is null then 'day_not_known'
        end as excluded_reason
    from unread
)

from administration
