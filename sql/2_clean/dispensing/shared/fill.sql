-- What each transmission of a fill is, and of which drug.
--
-- Grain:  one row per delivered transmission
-- Key:    source_file, source_row
-- Units:  as delivered
-- Scope:  patient
-- Source: docs/dispensing_layout.md; ASAP Standard for Prescription Monitoring Programs 4.2 by
--         reference.dispensing_code; voids after the Minnesota PMP (mn.gov/boards/pharmacy-pmp);
--         opioids in reference.opioid_name, adjuvants in reference.adjuvant_name
with

-- What a transmission is: codes by reference rows, a negative quantity reverses whatever it says.
-- A species that is given and not known may be an animal.
-- Where there is no text the study's own table of codes says what the drug is. Rows are told in the
-- order of delivery.
transmission as (
    select
        fill.* exclude (drug_text),
        coalesce(fill.drug_text, known.drug_text) as drug_text,
        coalesce(replace(trim(fill.ndc), '-', ''), lower(trim(fill.drug_text))) as drug_key,
        case
            when species.meaning is not null then species.meaning
            when nullif(trim(fill.species), '') is null then 'human'
            else 'unknown'
        end as species_kind,
        coalesce(status.meaning = 'reversal', false) or coalesce(fill.quantity < 0, false)
            as is_reversal,
        coalesce(status.meaning = 'revision', false) as is_revision,
        fill.record_status is not null and status.meaning is null as is_status_unknown
    from raw_dispensing.dispensing as fill
    left join reference.ndc_text as known
        on fill.drug_text is null and trim(fill.ndc) = known.ndc
    left join reference.dispensing_code as species
        on species.column_name = 'species' and lower(trim(fill.species)) = species.code
    left join reference.dispensing_code as status
        on
            status.column_name = 'record_status'
            and lower(trim(fill.record_status)) = status.code
),

-- A revision takes the place of what was transmitted before it of the same fill. Only the number
-- of the prescription tells which that is.
revised as (
    select
        *,
        not is_reversal
        and prescription_number is not null
        and coalesce(
            bool_or(is_revision and not is_reversal) over (
                partition by
                    patient_id, pharmacy_id, prescription_number, refill_number, partial_fill,
                    fill_date
                order by source_file, source_row
                rows between 1 following and unbounded following
            ),
            false
        ) as is_revised
    from transmission
),

-- Which fill it is about. The number of a prescription tells the drug, however a void spells it;
-- what a void leaves out is that of what was sent last of the prescription and day.
identified as (
    select
        *,
        case when prescription_number is null then drug_key end as fill_drug,
        case
            when is_reversal and prescription_number is not null
                then
                    coalesce(
                        abs(nullif(quantity, 0)), last_value(abs(quantity) ignore nulls) over before
                    )
            else abs(quantity)
        end as fill_quantity,
        case
            when is_reversal and prescription_number is not null
                then
                    coalesce(refill_number, last_value(refill_number ignore nulls) over before)
            else refill_number
        end as fill_refill,
        case
            when is_reversal and prescription_number is not null
                then
                    coalesce(partial_fill, last_value(partial_fill ignore nulls) over before)
            else partial_fill
        end as fill_part
    from revised
    window before as (
        partition by is_revised, patient_id, pharmacy_id, prescription_number, fill_date
        order by source_file, source_row
        rows between unbounded preceding and 1 preceding
    )
),

-- One fill as it comes again and again: sent twice, taken back, sent anew.
counted as (
    select
        *,
        count_if(is_reversal) over same_fill as reversal_count,
        coalesce(bool_or(is_reversal) over (
            same_fill rows between 1 following and unbounded following
        ), false) as is_reversed,
        coalesce(lag(is_reversal) over same_fill, true) as has_nothing_to_reverse
    from identified
    window same_fill as (
        partition by
            is_revised, species_kind, patient_id, fill_drug, fill_date, fill_quantity, pharmacy_id,
            prescription_number, fill_refill, fill_part
        order by source_file, source_row
    )
),

-- A copy is of the same drug, too, and nothing was taken back in between.
sequence as (
    select
        *,
        coalesce(
            lag(is_reversal) over same_drug = false
            and lag(reversal_count) over same_drug = reversal_count
            and lag(days_supply) over same_drug is not distinct from days_supply,
            false
        ) as follows_its_copy
    from counted
    window same_drug as (
        partition by
            is_revised, species_kind, patient_id, drug_key, fill_date, fill_quantity, pharmacy_id,
            prescription_number, fill_refill, fill_part
        order by source_file, source_row
    )
),

-- Why a transmission is no fill of a patient, whatever the drug.
fill as (
    select
        sequence.*,
        names_opioid(sequence.drug_text) as is_opioid,
        names_adjuvant(sequence.drug_text) as is_adjuvant,
        case
            when sequence.species_kind = 'animal' then 'veterinary_fill'
            when sequence.species_kind = 'unknown' then 'species_not_known'
            when sequence.is_status_unknown then 'record_status_not_known'
            when sequence.is_reversal and sequence.has_nothing_to_reverse then 'reversal_of_no_fill'
            when sequence.is_reversal then 'reversal'
            when sequence.is_revised then 'revised_later'
            when sequence.follows_its_copy then 'duplicate_transmission'
            when sequence.is_reversed then 'reversed_later'
        end as no_fill_reason
    from sequence
)

from fill
