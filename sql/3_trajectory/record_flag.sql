-- What is worth a look in the rows that doses are made of.
--
-- Grain:  one row per record and flag
-- Key:    record_id, flag
-- Units:  none
-- Scope:  patient
-- Source: label strengths in reference.label_strength; limits are design choices, since the peers
--         pick theirs by eye; a flagged row keeps its dose
with

amount as (
    select
        *,
        case
            when form in ('solution', 'injection', 'suspension') then 'liquid' else form
        end as form_group,
        quantity / days as units_per_day
    from trajectory.record_amount
),

product as (
    select distinct
        ingredient,
        form_group,
        dose_unit,
        unit_strength
    from amount
    where
        ingredient is not null and form_group is not null and unit_strength is not null
        and amount_basis = 'dispensed'
),

label as (
    select
        ingredient,
        strength,
        replace(strength_unit, '/ML', '') as dose_unit,
        case
            when form in ('solution', 'injection', 'suspension') then 'liquid' else form
        end as form_group
    from reference.label_strength
),

-- Only where labels of such a product are known at all.
unlabelled as (
    select product.*
    from product
    inner join label
        on
            product.ingredient = label.ingredient
            and product.form_group = label.form_group
            and product.dose_unit = label.dose_unit
    group by all
    having
        min(round(abs(product.unit_strength / label.strength - 1), 6)) > $strength_tolerance_share
),

-- The same product, day and quantity twice, of a patient: the later rows of the file are flagged.
repeated as (
    select record_id
    from amount
    where record_kind = 'dispensing'
    qualify row_number() over (
        partition by patient_index, drug_text, start_date, quantity, days_supply, unit_strength
        order by record_id
    ) > 1
),

record_flag as (
    select
        amount.record_id,
        amount.patient_index,
        unnest(list_filter([
            case when amount.reason = 'negative_quantity' then 'reversal' end,
            case when amount.reason = 'quantity_unit_does_not_fit' then 'quantity_unit' end,
            case when amount.is_supply_imputed then 'days_supply_imputed' end,
            case
                when
                    amount.amount_basis = 'dispensed'
                    and amount.units_per_day
                    > if(amount.form_group = 'liquid', $max_volume_ml_per_day, $max_units_per_day)
                    then 'units_per_day'
            end,
            case when unlabelled.ingredient is not null then 'strength_outlier' end,
            case when dose.dose_micro_mme > $dose_ceiling_mme * 1e6 then 'dose_ceiling' end,
            case when repeated.record_id is not null then 'duplicate' end
        ], lambda flag: flag is not null)) as flag
    from amount
    inner join trajectory.record_dose as dose on amount.record_id = dose.record_id
    left join unlabelled
        on
            amount.amount_basis = 'dispensed'
            and amount.ingredient = unlabelled.ingredient
            and amount.form_group = unlabelled.form_group
            and amount.dose_unit = unlabelled.dose_unit
            and amount.unit_strength = unlabelled.unit_strength
    left join repeated on amount.record_id = repeated.record_id
)

from record_flag
