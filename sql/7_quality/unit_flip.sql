-- Drug texts whose strength or quantity jumps as it does when a unit changes.
--
-- Grain:  one row per source, measure, drug text and quarter in which the median jumps
-- Key:    source, measure, drug_text, quarter_start_date
-- Units:  those delivered
-- Scope:  cohort
-- Source: clean.prescription; a jump by $unit_flip_ratio and more between quarters of at least
--         $unit_flip_min_rows rows. Shifted dates have no quarter.
with

-- Said by the study, or plain from dates in a century to come.
shifted as (
    select distinct source
    from quality.date_shift
    where is_shifted
),

measured as (
    select
        source,
        'strength' as measure,
        drug_text,
        patient_index,
        start_date,
        strength as amount
    from clean.prescription
    where strength > 0 and source not in (select source from shifted)
    union all
    select
        source,
        'quantity' as measure,
        drug_text,
        patient_index,
        start_date,
        quantity as amount
    from clean.prescription
    where quantity > 0 and source not in (select source from shifted)
),

of_text as (
    select
        source,
        measure,
        drug_text,
        count(distinct patient_index) as patient_count
    from measured
    group by all
),

quarter as (
    select
        source,
        measure,
        drug_text,
        date_trunc('quarter', start_date)::date as quarter_start_date,
        count(*) as row_count,
        median(amount) as median_amount
    from measured
    group by all
    having count(*) >= $unit_flip_min_rows
),

compared as (
    select
        *,
        lag(median_amount) over (
            partition by source, measure, drug_text
            order by quarter_start_date
        ) as median_before
    from quarter
),

unit_flip as (
    select
        compared.source,
        compared.measure,
        compared.drug_text,
        compared.quarter_start_date,
        compared.row_count,
        of_text.patient_count,
        compared.median_before,
        compared.median_amount,
        compared.median_amount / compared.median_before as jump_ratio
    from compared
    inner join of_text using (source, measure, drug_text)
    where
        greatest(
            compared.median_amount / compared.median_before,
            compared.median_before / compared.median_amount
        ) >= $unit_flip_ratio
)

from unit_flip
