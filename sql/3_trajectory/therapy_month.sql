-- Dose of each patient by month, with what the months before it add up to.
--
-- Grain:  one row per patient and whole month from the first supply to the end of follow-up
-- Key:    patient_index, month_number
-- Units:  doses in MME per day
-- Scope:  patient
-- Source: stable baselines as in Fenton 2019 (JAMA Netw Open, PMC6902834) and Morasco 2020 (Pain
--         161:1332), on a grid of months, so that patients enter whatever their dose does next
with

therapy as (
    select
        period.patient_index,
        follow_up.last_date,
        min(period.start_date) as first_date
    from trajectory.dose_period as period
    inner join trajectory.follow_up as follow_up using (patient_index)
    where follow_up.last_date is not null
    group by all
),

therapy_number as (
    select
        patient_index,
        first_date,
        unnest(range(0, least((last_date - first_date + 1) // $month_days, 1000)))
            as month_number
    from therapy
),

month_of_therapy as (
    select
        patient_index,
        month_number,
        first_date + (month_number * $month_days)::integer as start_date,
        first_date + ((month_number + 1) * $month_days - 1)::integer as end_date
    from therapy_number
),

-- Each period is cut at the ends of the months it touches, so that no pair of days is compared.
piece as (
    select
        period.patient_index,
        period.start_date - therapy.first_date as from_day,
        period.end_date - therapy.first_date as to_day,
        period.dose_mme,
        period.is_lower_bound,
        (period.start_date - therapy.first_date) // $month_days
        + unnest(range(
            0,
            least(
                (period.end_date - therapy.first_date) // $month_days
                - (period.start_date - therapy.first_date) // $month_days
                + 1,
                1000
            )
        )) as month_number
    from trajectory.dose_period as period
    inner join therapy using (patient_index)
),

measured_piece as (
    select
        *,
        least(to_day, (month_number + 1) * $month_days - 1)
        - greatest(from_day, month_number * $month_days) + 1 as days
    from piece
),

supplied as (
    select
        patient_index,
        month_number,
        sum(days) as covered_days,
        coalesce(sum(days) filter (where is_lower_bound), 0) as lower_bound_days,
        sum(dose_mme * days) as dose_mme_days
    from measured_piece
    group by all
),

dosed as (
    select
        month_of_therapy.*,
        coalesce(supplied.covered_days, 0)::integer as covered_days,
        coalesce(supplied.lower_bound_days, 0)::integer as lower_bound_days,
        coalesce(supplied.dose_mme_days, 0) as dose_mme_days,
        case
            when $dose_definition = 'on_therapy_days' then coalesce(supplied.covered_days, 0)
            else $month_days
        end as counted_days,
        coalesce(run.long_term_date < month_of_therapy.start_date, false) as is_long_term
    from month_of_therapy
    left join supplied using (patient_index, month_number)
    left join trajectory.therapy_run as run
        on
            month_of_therapy.patient_index = run.patient_index
            and month_of_therapy.start_date between run.start_date and run.end_date
),

-- Rounded, because the last digit of a sum depends on the order in which it is added up.
summed as (
    select
        *,
        round(dose_mme_days / nullif(counted_days, 0), 9) as mean_mme,
        round(
            sum(dose_mme_days) over quarter_before
            / nullif(sum(counted_days) over quarter_before, 0),
            9
        ) as quarter_mme,
        round(
            sum(dose_mme_days) over year_before
            / nullif(sum(counted_days) over year_before, 0),
            9
        ) as year_mme,
        count(*) over quarter_before as quarter_months,
        count(*) over year_before as year_months,
        sum(covered_days) over quarter_before as quarter_covered_days,
        coalesce(sum(lower_bound_days) over quarter_before, 0) as quarter_lower_bound_days,
        coalesce(sum(lower_bound_days) over year_before, 0) as year_lower_bound_days,
        min(covered_days) over quarter_before as quarter_fewest_days,
        min(covered_days) over year_before as year_fewest_days,
        min(dose_mme_days / nullif(counted_days, 0)) over quarter_before as quarter_lowest_mme,
        max(dose_mme_days / nullif(counted_days, 0)) over quarter_before as quarter_highest_mme,
        min(dose_mme_days / nullif(counted_days, 0)) over year_before as year_lowest_mme,
        max(dose_mme_days / nullif(counted_days, 0)) over year_before as year_highest_mme
    from dosed
    window
        quarter_before as (
            partition by patient_index
            order by month_number
            rows between $quarter_months preceding and 1 preceding
        ),
        year_before as (
            partition by patient_index
            order by month_number
            rows between $taper_baseline_months preceding and 1 preceding
        )
),

therapy_month as (
    select
        patient_index,
        month_number::integer as month_number,
        start_date,
        end_date,
        covered_days,
        lower_bound_days,
        mean_mme,
        is_long_term,
        quarter_mme,
        coalesce(
            quarter_months = $quarter_months
            and quarter_lower_bound_days = 0
            and quarter_covered_days >= $min_coverage * quarter_months * $month_days,
            false
        ) as is_quarter_known,
        coalesce(
            quarter_months = $quarter_months
            and quarter_lower_bound_days = 0
            and quarter_fewest_days >= $min_coverage * $month_days
            and round(1 - quarter_lowest_mme / nullif(quarter_mme, 0), 9) <= $stable_share
            and round(quarter_highest_mme / nullif(quarter_mme, 0) - 1, 9) <= $stable_share,
            false
        ) as is_quarter_stable,
        year_mme,
        coalesce(
            year_months = $taper_baseline_months
            and year_lower_bound_days = 0
            and year_fewest_days >= $min_coverage * $month_days
            and round(1 - year_lowest_mme / nullif(year_mme, 0), 9) <= $stable_share
            and round(year_highest_mme / nullif(year_mme, 0) - 1, 9) <= $stable_share,
            false
        ) as is_year_stable
    from summed
)

from therapy_month
