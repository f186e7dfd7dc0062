-- Opioid orders in hospital.
--
-- Grain:  one row per delivered order row
-- Key:    prescription_id
-- Units:  dose_low and dose_high in dose_unit, one dose; doses_per_day in doses per 24 hours
-- Scope:  patient
-- Source: opioids in reference.opioid_name, routes in reference.route, frequencies in
--         reference.dose_frequency
-- Rows:   raw_mimic_iv.prescriptions
with

-- A range ("5-10") has two ends, a number is both ends of itself; thousands carry a comma.
ordered as (
    select
        row_ordered.*,
        pharmacy.frequency,
        try_cast(split_part(row_ordered.plain_dose, '-', 1) as double) as first_dose,
        try_cast(split_part(row_ordered.plain_dose, '-', -1) as double) as last_dose
    from (
        select
            *,
            replace(dose_val_rx, ',', '') as plain_dose
        from raw_mimic_iv.prescriptions
    ) as row_ordered
    left join raw_mimic_iv.pharmacy as pharmacy on row_ordered.pharmacy_id = pharmacy.pharmacy_id
),

-- For a drip, an epidural or a patient's own pump the order names the bag or one press of the
-- pump, which says nothing of the dose that was given. An order that stops before it starts was
-- in force for no time that could be named, though some were given: the row stays, its dose and
-- its end do not.
judged as (
    select
        ordered.*,
        names_opioid(ordered.drug) as is_opioid,
        frequency.doses_per_day,
        frequency.is_as_needed,
        case
            when ordered.stoptime < ordered.starttime then 'stopped_before_start'
            when route.delivery is not null then 'ordered_as_' || route.delivery
            when ordered.dose_val_rx is null then 'dose_not_ordered'
            when ordered.first_dose is null or ordered.last_dose is null then 'dose_not_readable'
            when ordered.first_dose > ordered.last_dose then 'dose_not_readable'
            when ordered.dose_unit_rx is null then 'unit_not_ordered'
        end as dose_unknown_reason
    from ordered
    left join reference.route as route on lower(trim(ordered.route)) = route.route_text
    left join reference.dose_frequency as frequency
        on lower(trim(ordered.frequency)) = frequency.frequency_text
),

-- The strength stands beside the drug, so both make the text that is read for it: a tablet of a
-- combination is dosed in tablets. A stop on the stroke of midnight ends the day before. The
-- delivered doses per day are a last resort: empty for most, and 0 for less than one a day. A
-- National Drug Code of 0 is none.
prescription as (
    select
        'order' as record_kind,
        'inpatient' as care_setting,
        route as route_text,
        starttime::date as start_date,
        dose_unit_rx as dose_unit,
        is_as_needed,
        dose_unknown_reason,
        'prescriptions' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || source_file || ':' || source_row as prescription_id,
        'mimic_iv:' || subject_id as patient_id,
        concat_ws(' ', trim(drug), trim(prod_strength)) as drug_text,
        case
            when stoptime >= starttime
                then greatest(starttime::date, (stoptime - interval 1 second)::date)
        end as end_date,
        case when dose_unknown_reason is null then first_dose end as dose_low,
        case when dose_unknown_reason is null then last_dose end as dose_high,
        coalesce(doses_per_day, nullif(doses_per_24_hrs, 0)) as doses_per_day,
        nullif(trim(ndc), '0') as ndc,
        case when not is_opioid then 'not_an_opioid' end as excluded_reason
    from judged
)

from prescription
