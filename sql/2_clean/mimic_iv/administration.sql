-- Opioid doses given in hospital, from the administration record (eMAR) and from intensive care.
--
-- Grain:  one row per delivered row of either
-- Key:    administration_id
-- Units:  amount in amount_unit, given between started_at and ended_at
-- Scope:  patient
-- Source: opioids in reference.opioid_name, routes in reference.route, entries in
--         reference.administration_event
-- Rows:   raw_mimic_iv.emar, raw_mimic_iv.inputevents
with

-- Both records name drugs in their own words; they meet by the ingredient.
drug_words as (
    select
        drug_text,
        whole_words(drug_text) as words
    from (
        select medication as drug_text from raw_mimic_iv.emar
        union
        select label as drug_text from raw_mimic_iv.d_items
    ) as distinct_text
),

opioid_ingredient as (
    select distinct
        drug_words.drug_text,
        opioid_name.ingredient
    from drug_words
    inner join reference.opioid_name as opioid_name
        on contains(drug_words.words, ' ' || opioid_name.word || ' ')
),

opioid as (
    select distinct drug_text
    from opioid_ingredient
),

-- An eMAR entry has one line per product scanned (three tablets are three lines), and their doses
-- add up. Counts stand beside the sum because a sum skips what it cannot read: a masked dose
-- ("___") or an empty one leaves the whole amount unknown. Decimals add up alike in any order.
charted as (
    select
        detail.emar_id,
        max(detail.route) as route,
        max(detail.administration_type) as administration_type,
        count(detail.parent_field_ordinal) as line_count,
        count(detail.dose_given) as dose_count,
        count(try_cast(replace(detail.dose_given, ',', '') as decimal(18, 6))) as number_count,
        sum(try_cast(replace(detail.dose_given, ',', '') as decimal(18, 6)))::double as amount,
        min(detail.dose_given_unit) filter (where detail.dose_given is not null) as amount_unit,
        count(distinct lower(detail.dose_given_unit)) filter (
            where detail.dose_given is not null
        ) as unit_count
    from raw_mimic_iv.emar_detail as detail
    inner join raw_mimic_iv.emar as entry on detail.emar_id = entry.emar_id
    inner join opioid on entry.medication = opioid.drug_text
    group by detail.emar_id
),

-- The route is rarely charted; the order has it. Some entries name the pharmacy's number of the
-- order, others only the provider's. An order with two routes gives none.
pharmacy_route as (
    select
        pharmacy_id,
        min(route) as route
    from raw_mimic_iv.prescriptions
    group by pharmacy_id
    having count(distinct route) = 1
),

provider_route as (
    select
        poe_id,
        min(route) as route
    from raw_mimic_iv.prescriptions
    group by poe_id
    having count(distinct route) = 1
),

-- An entry without a text, or with one that is cut off, may be a dose: it is neither counted as
-- given nor left out, and its amount is unknown.
emar_entry as (
    select
        entry.*,
        opioid.drug_text is not null as is_opioid,
        charted.line_count,
        charted.dose_count,
        charted.number_count,
        charted.amount,
        charted.amount_unit,
        charted.unit_count,
        event.excluded_reason as event_reason,
        coalesce(event.meaning, 'not_recorded') as meaning,
        coalesce(
            charted.route, pharmacy_route.route, provider_route.route, type_route.route_text
        ) as route_text
    from raw_mimic_iv.emar as entry
    left join opioid on entry.medication = opioid.drug_text
    left join charted on entry.emar_id = charted.emar_id
    left join pharmacy_route on entry.pharmacy_id = pharmacy_route.pharmacy_id
    left join provider_route on entry.poe_id = provider_route.poe_id
    left join reference.route as type_route
        on lower(charted.administration_type) = type_route.route_text
    left join reference.administration_event as event
        on event.source = 'mimic_iv' and lower(trim(entry.event_txt)) = event.event_text
),

-- Intensive care records single doses without a rate and infusions with one. The amount counts,
-- never the rate: a dose pushed over a minute is delivered as 75,000 mcg/hour. A rewritten row was
-- put in wrongly, and what it says was never given (MIMIC-IV documentation of inputevents).
icu_dose as (
    select
        given.*,
        item.label,
        opioid.drug_text is not null as is_opioid,
        given.rate is not null as is_infusion,
        coalesce(given.statusdescription = 'Rewritten', false) as is_rewritten
    from raw_mimic_iv.inputevents as given
    left join raw_mimic_iv.d_items as item on given.itemid = item.itemid
    left join opioid on item.label = opioid.drug_text
),

-- Intensive care writes the same dose in both records, minutes apart, and inputevents has the
-- amounts of infusions, so it is the one to keep. An eMAR entry is the same dose where the same
-- patient, during a stay, was given the same ingredient within half an hour: single dose for
-- single dose, infusion for infusion. Amounts are not compared, because two entries may stand for
-- one push, and a share of the rate is no amount. Half an hour, because in the demo 197 entries
-- have a push that near and only 6 more within the hour, of which 2 share theirs with a nearer
-- entry and so look like doses of their own. A dose out of a running bag without a push beside it
-- stays: inputevents shows that infusion at its old rate. Patients' own pumps, epidurals and
-- drugs by mouth are never recorded there.
same_dose as (
    select distinct entry.emar_id
    from emar_entry as entry
    inner join opioid_ingredient as entry_drug on entry.medication = entry_drug.drug_text
    inner join icu_dose on entry.subject_id = icu_dose.subject_id
    inner join opioid_ingredient as icu_drug
        on
            icu_dose.label = icu_drug.drug_text
            and entry_drug.ingredient = icu_drug.ingredient
    inner join raw_mimic_iv.icustays as stay on icu_dose.stay_id = stay.stay_id
    left join reference.route as route on lower(trim(entry.route_text)) = route.route_text
    where
        not icu_dose.is_rewritten
        and entry.charttime between stay.intime and stay.outtime
        and entry.charttime >= icu_dose.starttime - interval 30 minute
        and entry.charttime
        <= case when icu_dose.is_infusion then icu_dose.endtime else icu_dose.starttime end
        + interval 30 minute
        and icu_dose.is_infusion
        = (entry.meaning = 'running' or (entry.meaning = 'not_recorded' and entry.dose_count = 0))
        and coalesce(route.route, 'parenteral') = 'parenteral'
        and route.delivery is distinct from 'patient_controlled'
),

-- Entries on an infusion or a pump that runs carry no dose, yet opioid flows. One entry of an
-- order and day stands for it, amount unknown; the others of the day are left out.
counted as (
    select
        entry.*,
        same_dose.emar_id is not null as is_in_inputevents,
        row_number() over (
            partition by
                entry.subject_id, entry.poe_id, entry.medication, entry.charttime::date,
                entry.meaning, same_dose.emar_id is null
            order by entry.charttime, entry.source_row
        ) as entry_of_day
    from emar_entry as entry
    left join same_dose on entry.emar_id = same_dose.emar_id
),

emar_row as (
    select
        trim(medication) as drug_text,
        route_text,
        charttime as started_at,
        null as ended_at,
        amount,
        amount_unit,
        'emar' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || emar_id as administration_id,
        'mimic_iv:' || subject_id as patient_id,
        case
            when meaning = 'not_recorded' then 'event_not_recorded'
            when meaning = 'running' then 'infusion_amount_not_charted'
            when number_count < dose_count then 'dose_not_readable'
            when coalesce(dose_count, 0) < greatest(line_count, 1) then 'dose_not_charted'
            when unit_count > 1 then 'units_differ'
            when amount_unit is null then 'unit_not_charted'
            when starts_with(amount_unit, '%') then 'unit_not_an_amount'
        end as amount_unknown_reason,
        case
            when medication is null then 'drug_not_named'
            when not is_opioid then 'not_an_opioid'
            when meaning = 'nothing_given' then event_reason
            when is_in_inputevents then 'recorded_in_inputevents'
            when meaning = 'running' and entry_of_day > 1 then event_reason
        end as excluded_reason
    from counted
),

icu_row as (
    select
        label as drug_text,
        ordercategoryname as route_text,
        starttime as started_at,
        endtime as ended_at,
        amount,
        amountuom as amount_unit,
        'inputevents' as source_table,
        source_file,
        source_row,
        'mimic_iv:' || orderid || ':' || itemid as administration_id,
        'mimic_iv:' || subject_id as patient_id,
        case
            when amount is null then 'dose_not_charted'
            when amountuom is null then 'unit_not_charted'
        end as amount_unknown_reason,
        case
            when not is_opioid then 'not_an_opioid'
            when is_rewritten then 'rewritten'
        end as excluded_reason
    from icu_dose
),

delivered as (
    select * from emar_row
    union all by name
    select * from icu_row
),

administration as (
    select * replace (case when amount_unknown_reason is null then amount end as amount)
    from delivered
)

from administration
