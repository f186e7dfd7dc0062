-- Drug texts that could not be read to a dose, the most frequent first.
--
-- Grain:  one row per text and reason that enough patients share to be published
-- Key:    drug_text, reason
-- Units:  records and patients, rounded to the nearest multiple of the smallest published count
-- Scope:  cohort
-- Source: trajectory.drug_product; a text of few patients could say who they are
with

delivered as (
    select
        patient_index,
        drug_text
    from clean.prescription
    union all
    select
        patient_index,
        drug_text
    from clean.administration
),

unread_text as (
    select
        delivered.drug_text,
        product.reason,
        (round(count(*) / $min_cell_count) * $min_cell_count)::bigint as record_count,
        (round(count(distinct delivered.patient_index) / $min_cell_count) * $min_cell_count)::bigint
            as patient_count
    from delivered
    inner join trajectory.drug_product as product on delivered.drug_text = product.drug_text
    where product.reason is not null
    group by all
    having count(distinct delivered.patient_index) >= $min_cell_count
)

from unread_text
