-- Orders of adjuvants in hospital.
--
-- Grain:  one row per delivered order row
-- Key:    adjuvant_id
-- Units:  dose_low and dose_high in dose_unit, one dose; doses_per_day in doses per 24 hours
-- Scope:  patient
-- Source: adjuvants in reference.adjuvant_name, opioids in reference.opioid_name, frequencies in
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

-- An opioid with naloxone, naltrexone or acetaminophen in it is an opioid product.
-- A stop on the stroke of midnight ends the day before. An order that stops before it starts was
-- in force for no time that could be named: the row stays, its end does not.
adjuvant as (
    select
        'order' as record_kind,
        ordered.route as route_text,
        ordered.starttime::date as start_date,
        ordered.dose_unit_rx as dose_unit,
        frequency.is_as_needed,
        'prescriptions' as source_table,
        ordered.source_file,
        ordered.source_row,
        'mimic_iv:' || ordered.source_file || ':' || ordered.source_row as adjuvant_id,
        'mimic_iv:' || ordered.subject_id as patient_id,
        concat_ws(' ', trim(ordered.drug), trim(ordered.prod_strength)) as drug_text,
        case
            when ordered.stoptime >= ordered.starttime
                then
                    greatest(
                        ordered.starttime::date, (ordered.stoptime - interval 1 second)::date
                    )
        end as end_date,
        case when ordered.first_dose <= ordered.last_dose then ordered.first_dose end as dose_low,
        case when ordered.first_dose <= ordered.last_dose then ordered.last_dose end as dose_high,
        coalesce(frequency.doses_per_day, nullif(ordered.doses_per_24_hrs, 0)) as doses_per_day,
        case
            when names_opioid(ordered.drug) then 'opioid_product'
            when not names_adjuvant(ordered.drug) then 'not_an_adjuvant'
        end as excluded_reason
    from ordered
    left join reference.dose_frequency as frequency
        on lower(trim(ordered.frequency)) = frequency.frequency_text
)

from adjuvant
