-- Opioid prescriptions and dispenses of a FHIR bulk export.
--
-- Grain:  one row per delivered MedicationRequest and MedicationDispense
-- Key:    prescription_id
-- Units:  quantity in quantity_unit; days_supply in days; dose_low and dose_high in dose_unit
-- Scope:  patient
-- Source: FHIR R4 (HL7 4.0.1), MedicationRequest, MedicationDispense, Medication, Timing; opioids
--         in reference.opioid_name, states in reference.fhir_status, frequencies in
--         reference.dose_frequency, settings in reference.fhir_order_category and
--         reference.fhir_encounter_class
-- Rows:   raw_fhir.medication_request, raw_fhir.medication_dispense
with

-- Of several instructions nobody can say here which holds when, so none is read.
instructed as (
    select
        *,
        case when json_array_length(dosage_instruction) = 1 then dosage_instruction -> 0 end
            as dosage,
        json_array_length(dosage_instruction) > 1 as has_several_instructions
    from clean_fhir.drug
    where record_kind <> 'administration'
),

-- Numbers that are none are unknown.
dosage_part as (
    select
        *,
        dosage ->> '/route/text' as route_words,
        dosage ->> '/route/coding/0/display' as route_display,
        dosage ->> '/timing/repeat/boundsPeriod/start' as bounds_start,
        dosage ->> '/timing/repeat/boundsPeriod/end' as bounds_end,
        dosage ->> '/timing/repeat/periodUnit' as period_unit,
        dosage -> '/asNeededCodeableConcept' as needed_for,
        dosage -> '/doseAndRate/0/doseQuantity' as dose_given,
        dosage -> '/doseAndRate/0/doseRange' as dose_range,
        coalesce(dosage ->> '/timing/code/coding/0/code', dosage ->> '/timing/code/text')
            as timing_code,
        try_cast(dosage ->> '/timing/repeat/frequency' as double) as frequency,
        try_cast(dosage ->> '/timing/repeat/frequencyMax' as double) as most_frequency,
        try_cast(dosage ->> '/timing/repeat/period' as double) as period,
        try_cast(dosage ->> '/asNeededBoolean' as boolean) as is_needed
    from instructed
),

-- What is said as a number of times in a period goes before shorthand (BID). A month has no fixed
-- number of days. Refills are no supply yet: each is dispensed, or ordered, by itself.
dosed as (
    select
        part.*,
        coalesce(part.route_words, part.route_display) as route_text,
        coalesce(part.is_needed, part.needed_for is not null)
        or coalesce(shorthand.is_as_needed, false) as is_as_needed,
        coalesce(
            coalesce(part.most_frequency, part.frequency)
            * case part.period_unit
                when 'min' then 1440 when 'h' then 24 when 'd' then 1 when 'wk' then 1 / 7
            end
            / nullif(part.period, 0),
            shorthand.doses_per_day
        ) as doses_per_day,
        case
            when lower(coalesce(part.supply_code, part.supply_unit, 'd')) in ('d', 'day', 'days')
                then round(part.supply_duration)
            when lower(coalesce(part.supply_code, part.supply_unit)) in ('wk', 'week', 'weeks')
                then round(7 * part.supply_duration)
        end as days_supply
    from dosage_part as part
    left join reference.dose_frequency as shorthand
        on lower(trim(part.timing_code)) = shorthand.frequency_text
),

category as (
    select
        id,
        unnest(json_extract_string(category, '$[*].coding[*].code')) as category_code
    from raw_fhir.medication_request
),

-- What an order says of itself goes before the encounter in which it was written; two that differ
-- tell nothing. In an emergency a drug may be given there, or be for home.
order_setting as (
    select
        request.id,
        'order' as record_kind,
        case count(distinct said.care_setting)
            when 1 then any_value(said.care_setting)
            when 0
                then
                    any_value(class.setting) filter (class.setting in ('inpatient', 'outpatient'))
        end as care_setting
    from raw_fhir.medication_request as request
    left join category on request.id = category.id
    left join reference.fhir_order_category as said on category.category_code = said.category_code
    left join raw_fhir.encounter as encounter
        on fhir_id(request.encounter) = encounter.id
    left join reference.fhir_encounter_class as class on encounter.class_code = class.class_code
    group by request.id
),

-- An order is in force from the start of its timing, where that is told. A date without a day is
-- none. A time keeps the clock it was delivered with.
judged as (
    select
        dosed.*,
        order_setting.care_setting,
        try_cast(
            coalesce(dosed.dose_given ->> 'value', dosed.dose_range ->> '/low/value') as double
        ) as low,
        try_cast(
            coalesce(dosed.dose_given ->> 'value', dosed.dose_range ->> '/high/value') as double
        ) as high,
        coalesce(
            dosed.dose_given ->> 'unit', dosed.dose_given ->> 'code',
            dosed.dose_range ->> '/high/unit', dosed.dose_range ->> '/high/code'
        ) as amount_unit,
        try_cast(
            regexp_extract(
                case
                    when dosed.record_kind = 'order'
                        then coalesce(dosed.bounds_start, dosed.delivered_at)
                    else dosed.delivered_at
                end,
                '^\d{4}-\d{2}-\d{2}'
            ) as date
        ) as start_date,
        case
            when dosed.record_kind = 'order'
                then
                    try_cast(
                        regexp_extract(dosed.bounds_end, '^\d{4}-\d{2}-\d{2}') as date
                    )
        end as end_date
    from dosed
    left join order_setting
        on dosed.id = order_setting.id and dosed.record_kind = order_setting.record_kind
),

-- An order whose dose cannot be read keeps its row and says why.
unread as (
    select
        *,
        case
            when record_kind = 'dispensing' then null
            when has_several_instructions then 'several_dosage_instructions'
            when high is null then 'dose_not_ordered'
            when low > high then 'dose_not_readable'
            when amount_unit is null then 'unit_not_ordered'
        end as dose_unknown_reason
    from judged
),

prescription as (
    select
        record_kind,
        care_setting,
        drug_text,
        ndc,
        route_text,
        start_date,
        end_date,
        quantity,
        days_supply,
        dose_unknown_reason,
        doses_per_day,
        is_as_needed,
        source_table,
        source_file,
        source_row,
        patient_id,
        coalesce(quantity_unit, quantity_code) as quantity_unit,
        case when dose_unknown_reason is null and record_kind = 'order' then low end as dose_low,
        case when dose_unknown_reason is null and record_kind = 'order' then high end as dose_high,
        case when record_kind = 'order' then amount_unit end as dose_unit,
        'fhir:' || resource_type || '/' || id as prescription_id,
        case
            when drug_text is null then 'drug_not_named'
            when not is_opioid then 'not_an_opioid'
            when status_reason is not null then status_reason
            when do_not_perform then 'drug_forbidden'
            when intent in ('proposal', 'plan', 'option') then 'not_an_order'
            when start_date is null then 'day_not_known'
        end as excluded_reason
    from unread
)

from prescription
