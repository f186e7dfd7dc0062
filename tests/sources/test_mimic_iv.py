"""The mapping of MIMIC-IV, tried on the openly available demo extract."""

import csv
import gzip
import re
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from functools import cache

import duckdb
import pytest

from pipelines import contracts, extracts, sources, sql_files, warehouse
from tests import mimic_iv_demo
from tests.conftest import PARAMETERS
from tests.mimic_iv_demo import EXTRACT

TABLES = ["patient", "prescription", "administration", "adjuvant", "pain_score", "diagnosis", "procedure", "encounter"]

pytestmark = mimic_iv_demo.needed


@pytest.fixture(scope="module")
def mapped():
    """The whole extract, loaded as its contracts say and mapped."""
    connection = duckdb.connect()
    for contract in contracts.raw_contracts("mimic_iv"):
        extracts.load(connection, contract, "mimic_iv", EXTRACT)
    known = contracts.all_contracts()
    mappings = sql_files.mappings("mimic_iv")
    for table in {table for mapping in mappings for table in mapping.reads if table.startswith("reference.")}:
        warehouse.build_reference(connection, known[table])
    for mapping in mappings:
        sources.map_rows(connection, mapping, known[f"clean.{mapping.table.split('.')[1]}"])
    return connection


@cache
def _delivered(name):
    """The rows of a delivered file, read by the standard library alone."""
    [file] = EXTRACT.glob(f"*/{name}.csv.gz")
    with gzip.open(file, "rt", newline="") as text:
        return list(csv.DictReader(text))


def _counts(connection, table, reason="excluded_reason", where="true"):
    rows = connection.execute(f"select {reason}, count(*) from {table} where {where} group by all").fetchall()
    return dict(rows)


def _one(connection, query):
    [[value]] = connection.execute(query).fetchall()
    return value


# Rows in, rows out


@pytest.mark.parametrize("table", TABLES)
def test_every_delivered_row_is_mapped_once(mapped, table):
    [mapping] = [sql for sql in sql_files.mappings("mimic_iv") if sql.table == f"clean_mimic_iv.{table}"]
    assert mapping.driving_tables
    for driving in mapping.driving_tables:
        delivered = _delivered(driving.split(".")[1])
        rows, distinct = mapped.execute(
            f"select count(*), count(distinct (source_file, source_row)) from {mapping.table} where source_table = ?",
            [driving.split(".")[1]],
        ).fetchall()[0]
        assert rows == distinct == len(delivered) > 0


@pytest.mark.parametrize("table", TABLES)
def test_row_ids_are_unique(mapped, table):
    assert _one(mapped, f"select count(*) - count(distinct {table}_id) from clean_mimic_iv.{table}") == 0


def test_every_delivered_row_fits_its_contract(mapped):
    rows = mapped.execute(
        "select table_name, delivered_rows, loaded_rows, quarantined_rows from raw.delivery"
    ).fetchall()
    assert {name for name, *_ in rows} == {contract.name for contract in contracts.raw_contracts("mimic_iv")}
    assert all(delivered == loaded > 0 and rejected == 0 for _, delivered, loaded, rejected in rows)


# Opioids


def test_orders_by_reason(mapped):
    assert _counts(mapped, "clean_mimic_iv.prescription") == {None: 963, "not_an_opioid": 17_124}


def test_administrations_by_reason(mapped):
    table = "clean_mimic_iv.administration"
    assert _counts(mapped, table, where="source_table = 'emar'") == {
        None: 1743,
        "not_an_opioid": 31_770,
        "drug_not_named": 1576,
        "recorded_in_inputevents": 456,
        "assessed": 212,
        "stopped": 33,
        "not_given": 26,
        "confirmed": 8,
        "not_assessed": 4,
        "held": 3,
        "infusion_not_reconciled": 2,
        "restarted": 1,
        "not_started": 1,
    }
    assert _counts(mapped, table, where="source_table = 'inputevents'") == {
        None: 1358,
        "not_an_opioid": 19_046,
    }


def test_opioid_rows_and_patients(mapped):
    opioid = "coalesce(excluded_reason, '') not in ('not_an_opioid', 'drug_not_named')"
    given = f"clean_mimic_iv.administration where {opioid}"
    assert _one(mapped, f"select count(*) from {given} and source_table = 'emar'") == 2489
    assert _one(mapped, f"select count(*) from {given} and source_table = 'inputevents'") == 1358
    kept = "clean_mimic_iv.administration where excluded_reason is null"
    ordered = "clean_mimic_iv.prescription where excluded_reason is null"
    assert _one(mapped, f"select count(distinct patient_id) from {kept}") == 78
    both = f"select patient_id from {kept} union select patient_id from {ordered}"
    assert _one(mapped, f"select count(*) from ({both})") == 85


def test_whole_words_find_the_same_rows_as_a_plain_search_does(mapped):
    """An independent oracle: the ingredients that the extract holds, with word boundaries."""
    words = (
        "morphine|hydromorphone|oxycodone|hydrocodone|codeine|fentanyl|tramadol|methadone|meperidine|opium"
        "|oxymorphone|tapentadol|buprenorphine|sufentanil|remifentanil"
    )
    is_opioid = re.compile(rf"(?<![a-z])({words})(?![a-z])", re.IGNORECASE)
    searched = [("prescription", "prescriptions", "drug"), ("administration", "emar", "medication")]
    for table, name, text in searched:
        expected = {i for i, row in enumerate(_delivered(name), start=1) if is_opioid.search(row[text])}
        found = mapped.execute(
            f"select source_row from clean_mimic_iv.{table} where source_table = ? "
            "and coalesce(excluded_reason, '') not in ('not_an_opioid', 'drug_not_named')",
            [name],
        ).fetchall()
        assert {row for [row] in found} == expected


def test_no_unnamed_drug_was_an_opioid(mapped):
    """Entries without a drug are floor stock fluids: neither their product nor their order is an opioid."""
    products = mapped.execute(
        """
        select distinct prescription.drug_text
        from clean_mimic_iv.administration as unnamed
        inner join raw_mimic_iv.emar as entry
            on unnamed.source_table = 'emar' and unnamed.source_row = entry.source_row
        inner join raw_mimic_iv.prescriptions as ordered
            on entry.poe_id = ordered.poe_id or entry.pharmacy_id = ordered.pharmacy_id
        inner join clean_mimic_iv.prescription as prescription on prescription.source_row = ordered.source_row
        where unnamed.excluded_reason = 'drug_not_named' and prescription.excluded_reason is null
        """
    ).fetchall()
    assert products == []


# Orders


def test_ordered_doses_by_reason(mapped):
    table = "clean_mimic_iv.prescription"
    assert _counts(mapped, table, "dose_unknown_reason", "excluded_reason is null") == {
        None: 793,
        "ordered_as_infusion": 74,
        "ordered_as_patient_controlled": 57,
        "stopped_before_start": 37,
        "dose_not_ordered": 2,
    }
    mismatched = "(dose_unknown_reason is null) <> (dose_low is not null and dose_high is not null)"
    assert _one(mapped, f"select count(*) from {table} where {mismatched} and excluded_reason is null") == 0


def test_ranges_keep_both_ends(mapped):
    ranges = _one(
        mapped,
        """
        select count(*)
        from clean_mimic_iv.prescription as mapped
        inner join raw_mimic_iv.prescriptions as ordered on mapped.source_row = ordered.source_row
        where mapped.excluded_reason is null and ordered.dose_val_rx like '%-%'
            and (mapped.dose_low < mapped.dose_high or mapped.dose_unknown_reason is not null)
        """,
    )
    assert ranges == 383
    kept = "clean_mimic_iv.prescription where excluded_reason is null and dose_low < dose_high"
    assert _one(mapped, f"select count(*) from {kept}") == 369


def test_an_order_ends_no_earlier_than_it_starts(mapped):
    table = "clean_mimic_iv.prescription where excluded_reason is null"
    assert _one(mapped, f"select count(*) from {table} and end_date < start_date") == 0
    assert _one(mapped, f"select count(*) from {table} and end_date is null") == 37 + 2


def test_every_opioid_frequency_is_read(mapped):
    unread = """
        select count(*)
        from clean_mimic_iv.prescription as mapped
        inner join raw_mimic_iv.prescriptions as ordered on mapped.source_row = ordered.source_row
        inner join raw_mimic_iv.pharmacy as pharmacy on ordered.pharmacy_id = pharmacy.pharmacy_id
        where mapped.excluded_reason is null and pharmacy.frequency is not null
            and mapped.is_as_needed is null
    """
    assert _one(mapped, unread) == 0
    opioid = "clean_mimic_iv.prescription where excluded_reason is null"
    assert _counts(mapped, "clean_mimic_iv.prescription", "is_as_needed", "excluded_reason is null") == {
        True: 589 + 37,  # marked PRN; may be repeated once
        False: 335,
        None: 2,
    }
    uncounted = f"{opioid} and doses_per_day is null and dose_low is not null"
    assert _one(mapped, f"select count(*) from {uncounted}") == 1


def test_every_opioid_route_is_read(mapped):
    for table in ("prescription", "administration"):
        unread = f"""
            select count(*)
            from clean_mimic_iv.{table} as mapped
            left join reference.route as route on lower(trim(mapped.route_text)) = route.route_text
            where mapped.excluded_reason is null and mapped.route_text is not null and route.route is null
        """
        assert _one(mapped, unread) == 0


OPIOID_ORDER = """
    from clean_mimic_iv.prescription as mapped
    inner join raw_mimic_iv.prescriptions as ordered on mapped.source_row = ordered.source_row
    where mapped.excluded_reason is null
"""


def test_no_order_has_a_supply_and_most_have_no_delivered_doses_a_day(mapped):
    """Pharmacies of the ward dispense from cabinets: no opioid has a quantity, and nothing has days supply."""
    opioid = {row["pharmacy_id"] for row in _delivered("prescriptions")} & {
        pharmacy_id
        for [pharmacy_id] in mapped.execute(f"select ordered.pharmacy_id::varchar {OPIOID_ORDER}").fetchall()
    }
    entries = [row for row in _delivered("pharmacy") if row["pharmacy_id"] in opioid]
    assert len(entries) > 900 and not any(row["fill_quantity"] for row in entries)
    table = "clean_mimic_iv.prescription"
    assert _one(mapped, f"select count(quantity) + count(days_supply) from {table}") == 0
    assert _one(mapped, f"select count(*) {OPIOID_ORDER} and ordered.doses_per_24_hrs is null") == 729
    # As directed 68, titrated 52, infusions 18, as needed without an interval 1, without a pharmacy's frequency 2.
    assert _one(mapped, f"select count(*) {OPIOID_ORDER} and mapped.doses_per_day is null") == 68 + 52 + 18 + 1 + 2


def test_an_epidural_is_never_a_dose(mapped):
    found = mapped.execute(
        f"select route.route, mapped.dose_unknown_reason, count(*) {OPIOID_ORDER.replace('where', JOIN_ROUTE)} "
        "and ordered.route = 'ED' group by all"
    ).fetchall()
    assert found == [("epidural", "ordered_as_infusion", 8)]


JOIN_ROUTE = "left join reference.route as route on lower(trim(mapped.route_text)) = route.route_text where"


def test_a_patch_is_ordered_in_micrograms_an_hour_for_three_days(mapped):
    found = mapped.execute(
        f"select dose_low, dose_high, dose_unit, doses_per_day, mapped.drug_text {OPIOID_ORDER} "
        "and ordered.route = 'TD' order by 1"
    ).fetchall()
    assert found == [
        (12.0, 12.0, "mcg/h", 1 / 3, "Fentanyl Patch 12 mcg/hr Patch"),
        (25.0, 25.0, "mcg/h", 1 / 3, "Fentanyl Patch 25mcg/hr  Patch"),
        (50.0, 50.0, "mcg/h", 1 / 3, "Fentanyl Patch 50mcg/hr Patch"),
    ]


def test_spellings_and_needless_blanks_make_no_difference(mapped):
    found = mapped.execute(
        f"select ordered.drug, count(*) {OPIOID_ORDER} and lower(trim(ordered.drug)) = "
        "'oxycodone (immediate release)' group by all order by all"
    ).fetchall()
    assert {name.strip().lower() for name, _ in found} == {"oxycodone (immediate release)"}
    assert len(found) >= 2 and any(name.endswith(" ") for name, _ in found)


@pytest.mark.parametrize("trap", ["ipratropium", "tiotropium"])
def test_a_drug_whose_name_ends_like_opium_is_no_opioid(mapped, trap):
    """In orders and in the administration record."""
    for table in ("prescription", "administration"):
        reasons = _counts(mapped, f"clean_mimic_iv.{table}", where=f"drug_text ilike '%{trap}%'")
        assert set(reasons) == {"not_an_opioid"}


# Administrations


def test_what_is_only_assessed_or_confirmed_never_has_an_amount(mapped):
    entry = """
        from clean_mimic_iv.administration as given
        inner join raw_mimic_iv.emar as entry on given.source_table = 'emar' and given.source_row = entry.source_row
        where coalesce(given.excluded_reason, '') not in ('not_an_opioid', 'drug_not_named')
    """
    found = dict(
        mapped.execute(
            f"select trim(entry.event_txt), count(*) {entry} "
            "and entry.event_txt in ('Administered', 'Assessed', 'Confirmed') group by all"
        ).fetchall()
    )
    assert found == {"Administered": 1707, "Assessed": 245, "Confirmed": 138}
    assert _one(mapped, f"select count(given.amount) {entry} and entry.event_txt in ('Assessed', 'Confirmed')") == 0


def test_a_masked_dose_and_a_share_of_the_rate_have_no_amount(mapped):
    lines = [
        line for line in _delivered("emar_detail") if line["dose_given"] == "___" or "%" in line["dose_given_unit"]
    ]
    entries = {f"mimic_iv:{line['emar_id']}" for line in lines}
    reasons = mapped.execute(
        "select amount_unknown_reason, count(amount), count(*) from clean_mimic_iv.administration "
        "where list_contains(?, administration_id) and coalesce(excluded_reason, '') not in ('not_an_opioid', 'drug_not_named') group by all",
        [sorted(entries)],
    ).fetchall()
    assert sorted(reasons) == [("dose_not_readable", 0, 4), ("unit_not_an_amount", 0, 15)]


def test_a_bolus_at_75000_micrograms_an_hour_is_the_milligrams_given(mapped):
    """Amounts in milligrams stand beside rates in micrograms an hour; a minute of that rate is 1.25 mg."""
    found = mapped.execute(
        """
        select round(given.amount, 6), given.amount_unit, delivered.rate > 70000, count(*)
        from clean_mimic_iv.administration as given
        inner join raw_mimic_iv.inputevents as delivered
            on given.source_table = 'inputevents' and given.source_row = delivered.source_row
        where delivered.rate > 2000 and given.excluded_reason is null
        group by all
        """
    ).fetchall()
    assert found == [(1.25, "mg", True, 2)]


def test_given_amounts_by_reason(mapped):
    table = "clean_mimic_iv.administration"
    kept = "excluded_reason is null and source_table = "
    assert _counts(mapped, table, "amount_unknown_reason", kept + "'emar'") == {
        None: 1621,
        "infusion_amount_not_charted": 61,
        "event_not_recorded": 49,
        "unit_not_an_amount": 8,
        "dose_not_readable": 4,
    }
    assert _counts(mapped, table, "amount_unknown_reason", kept + "'inputevents'") == {None: 1358}
    mismatched = "(amount_unknown_reason is null) <> (amount is not null)"
    assert _one(mapped, f"select count(*) from {table} where {mismatched} and excluded_reason is null") == 0


def test_doses_of_scanned_products_add_up_to_the_amount(mapped):
    """An independent oracle: every eMAR dose with a known amount, summed line by line in plain Python."""
    given = defaultdict(Decimal)
    for line in _delivered("emar_detail"):
        try:
            given[line["emar_id"]] += Decimal(line["dose_given"] or "0")
        except InvalidOperation:
            given[line["emar_id"]] += Decimal("nan")
    amounts = mapped.execute(
        "select administration_id, amount from clean_mimic_iv.administration "
        "where source_table = 'emar' and amount is not null"
    ).fetchall()
    assert len(amounts) > 1700
    assert {name: float(given[name.removeprefix("mimic_iv:")]) for name, _ in amounts} == dict(amounts)


def test_intensive_care_gives_the_amount_and_never_the_rate(mapped):
    delivered = {
        f"mimic_iv:{row['orderid']}:{row['itemid']}": (float(row["amount"] or "nan"), row["amountuom"])
        for row in _delivered("inputevents")
    }
    rows = mapped.execute(
        "select administration_id, amount, amount_unit from clean_mimic_iv.administration "
        "where source_table = 'inputevents' and excluded_reason is null and started_at < ended_at"
    ).fetchall()
    assert len(rows) == 1358
    assert {name: (amount, unit) for name, amount, unit in rows} == {name: delivered[name] for name, *_ in rows}


def test_what_is_left_out_as_recorded_twice_is_recorded_in_intensive_care(mapped):
    """Single doses left out of the eMAR weigh what the pushes beside them weigh, within a tenth."""
    mass = "amount / case amount_unit when 'mcg' then 1000 else 1 end"
    rows = mapped.execute(
        f"""
        with dose as (
            select
                *, {mass} as mass_mg,
                regexp_extract(lower(drug_text), '(hydromorphone|morphine|fentanyl)') as ingredient
            from clean_mimic_iv.administration
        ),
        pushed as (
            select dose.*
            from dose
            inner join raw_mimic_iv.inputevents as given
                on dose.source_table = 'inputevents' and dose.source_row = given.source_row
            where given.rate is null
        ),
        left_out as (
            select * from dose
            where excluded_reason = 'recorded_in_inputevents' and amount is not null and ingredient <> ''
        ),
        beside as (
            select distinct pushed.*
            from pushed
            inner join left_out on
                pushed.patient_id = left_out.patient_id and pushed.ingredient = left_out.ingredient
                and abs(epoch(pushed.started_at) - epoch(left_out.started_at)) <= 1800
            qualify row_number() over (
                partition by left_out.administration_id
                order by
                    abs(pushed.mass_mg - left_out.mass_mg) > 0.01 * left_out.mass_mg,
                    abs(epoch(pushed.started_at) - epoch(left_out.started_at))
            ) = 1
        )
        select
            ingredient,
            (select sum(mass_mg) from left_out where left_out.ingredient = names.ingredient),
            (select sum(mass_mg) from beside where beside.ingredient = names.ingredient)
        from (select distinct ingredient from left_out) as names
        """
    ).fetchall()
    assert {name for name, *_ in rows} == {"fentanyl", "hydromorphone", "morphine"}
    for _, left_out_mg, pushed_mg in rows:
        assert left_out_mg == pytest.approx(pushed_mg, rel=0.1)


def test_a_dose_is_recorded_twice_only_during_a_stay_in_intensive_care(mapped):
    outside = """
        select count(*)
        from clean_mimic_iv.administration as twice
        inner join raw_mimic_iv.emar as entry
            on twice.source_table = 'emar' and twice.source_row = entry.source_row
        where twice.excluded_reason = 'recorded_in_inputevents' and not exists (
            select *
            from raw_mimic_iv.icustays as stay
            inner join raw_mimic_iv.inputevents as given on stay.stay_id = given.stay_id
            where given.subject_id = entry.subject_id and entry.charttime between stay.intime and stay.outtime
        )
    """
    assert _one(mapped, outside) == 0


# Pain


@pytest.fixture(scope="module")
def read(mapped):
    """The pain scores of the extract as the trajectory reads them."""
    known = contracts.all_contracts()
    for contract in (known["clean.patient"], known["clean.pain_score"]):
        sources.fill(mapped, contract, ["mimic_iv"])
    reading = next(sql for sql in sql_files.tables() if sql.table == "trajectory.pain_reading")
    for table in reading.reads - {"clean.pain_score"}:
        warehouse.build_reference(mapped, known[table])
    warehouse.build_from_sql(mapped, reading, known[reading.table], PARAMETERS)
    return mapped


def test_pain_scores_by_question(read):
    rows = read.execute(
        """
        select
            recall, is_counted, count(*), count(distinct patient_index), count(pain_nrs),
            count(distinct patient_index) filter (where pain_nrs is not null)
        from trajectory.pain_reading
        where setting = 'icu' and instrument = 'NRS'
        group by all order by all
        """
    ).fetchall()
    assert rows == [("after_treatment", False, 1245, 85, 762, 79), ("now", True, 2099, 94, 1456, 88)]


def test_a_pain_score_is_known_or_says_why_not(read):
    assert _counts(read, "trajectory.pain_reading", "unknown_reason") == {
        None: 1456 + 762,
        "unable_to_score": 643 + 483,
    }
    assert _one(read, "select count(*) from trajectory.pain_reading where pain_nrs = 0") == 600 + 377


def test_pain_words_give_the_delivered_number(read):
    delivered = [float(row["valuenum"]) if row["valuenum"] else None for row in _delivered("chartevents")]
    scores = read.execute(
        "select pain_nrs from trajectory.pain_reading inner join clean.pain_score using (pain_score_id) "
        "order by source_row"
    ).fetchall()
    assert [score for [score] in scores] == delivered


def test_pain_words_are_read_without_the_number_beside_them(read):
    """All the same without valuenum, so the words alone decide and the number only checks them."""
    reading = next(sql for sql in sql_files.tables() if sql.table == "trajectory.pain_reading")
    with_number = read.execute("from trajectory.pain_reading order by pain_score_id").fetchall()
    read.execute("begin")
    read.execute("update clean.pain_score set score = null")
    warehouse.build_from_sql(read, reading, contracts.all_contracts()[reading.table], PARAMETERS)
    without = read.execute("from trajectory.pain_reading order by pain_score_id").fetchall()
    read.execute("rollback")
    assert without == with_number


def test_scores_are_dated_by_when_they_were_charted_since_when_they_were_stored_is_empty(read):
    rows = _delivered("chartevents")
    assert not any(row["storetime"] or row["caregiver_id"] for row in rows)
    years = read.execute("select min(year(scored_at)), max(year(scored_at)) from trajectory.pain_reading").fetchall()
    assert years == [(2110, 2201)]


# People, diagnoses, procedures


def test_people_are_observed_between_first_admission_and_last_discharge(mapped):
    table = "clean_mimic_iv.patient"
    assert _counts(mapped, table, "sex") == {"female": 43, "male": 57}
    in_order = "observation_start_date <= observation_end_date"
    assert _one(mapped, f"select count(*) from {table} where {in_order}") == 100
    assert _one(mapped, f"select count(death_date) from {table}") == 31
    first = min(row["admittime"][:10] for row in _delivered("admissions") if row["subject_id"] == "10014729")
    last = max(row["dischtime"][:10] for row in _delivered("admissions") if row["subject_id"] == "10014729")
    observed = mapped.execute(
        "select observation_start_date::varchar, observation_end_date::varchar, birth_year "
        f"from {table} where patient_id = 'mimic_iv:10014729'"
    ).fetchall()
    assert observed == [(first, last, 2125 - 21)]


def test_codes_by_system(mapped):
    assert _counts(mapped, "clean_mimic_iv.diagnosis", "code_system") == {"ICD9CM": 2193, "ICD10CM": 2313}
    assert _counts(mapped, "clean_mimic_iv.procedure", "code_system") == {"ICD9PCS": 401, "ICD10PCS": 321}
    for table in ("diagnosis", "procedure"):
        assert _counts(mapped, f"clean_mimic_iv.{table}") == {None: 4506 if table == "diagnosis" else 722}
        plain = "regexp_full_match(code, '[0-9A-Z]+')"
        assert _one(mapped, f"select count(*) from clean_mimic_iv.{table} where not {plain}") == 0


# Encounters


def test_every_admission_is_a_stay_in_hospital_from_its_first_to_its_last_day(mapped):
    table = "clean_mimic_iv.encounter"
    admissions = _delivered("admissions")
    assert _counts(mapped, table, "setting") == {"inpatient": len(admissions)} == {"inpatient": 275}
    assert _one(mapped, f"select count(*) from {table} where end_date < start_date") == 0
    assert _one(mapped, f"select count(*) from {table} where not end_date > start_date") == sum(
        row["admittime"][:10] == row["dischtime"][:10] for row in admissions
    )


# Adjuvants


def test_a_row_is_an_opioid_an_adjuvant_or_neither(mapped):
    counts = _counts(mapped, "clean_mimic_iv.adjuvant")
    assert counts == {None: 1712, "opioid_product": 963, "not_an_adjuvant": 15412}
    assert counts["opioid_product"] == _counts(mapped, "clean_mimic_iv.prescription")[None]


ADJUVANT_ROWS = {
    "acetaminophen": (496, ["acetaminophen"]),
    "alpha2_agonist": (47, ["clonidine", "tizanidine", "dexmedetomidine"]),
    "cannabinoid": (4, ["dronabinol"]),
    "cyp3a4_inhibitor": (
        138,
        ["diltiazem", "fluconazole", "voriconazole", "erythromycin", "clarithromycin", "verapamil", "ritonavir"],
    ),
    "gabapentinoid": (59, ["gabapentin", "pregabalin"]),
    "muscle_relaxant": (11, ["cyclobenzaprine", "baclofen", "methocarbamol"]),
    "nmda_antagonist": (8, ["ketamine", "dextromethorphan"]),
    "other_antidepressant": (94, ["trazodone", "bupropion", "mirtazapine"]),
    "peripherally_acting_antagonist": (11, ["methylnaltrexone"]),
    "rescue_naloxone": (3, ["naloxone"]),
    "sleep_drug": (31, ["zolpidem", "ramelteon"]),
    "snri": (8, ["duloxetine"]),
    "ssri": (66, ["fluoxetine", "citalopram", "sertraline", "paroxetine"]),
    "tca": (4, ["amitriptyline"]),
}
OPIOIDS = ("codone", "codeine", "morph", "fentanyl", "tramadol", "methadone", "meperidine", "opium")


@pytest.mark.parametrize("drug_class", ADJUVANT_ROWS)
def test_adjuvants_by_class_are_those_counted_from_the_file(mapped, drug_class):
    rows, names = ADJUVANT_ROWS[drug_class]
    drugs = [row["drug"].lower() for row in _delivered("prescriptions")]
    found = [drug for drug in drugs if any(name in drug for name in names) and not any(o in drug for o in OPIOIDS)]
    assert len(found) == rows
    mapped_rows = _one(
        mapped,
        f"""
        select count(distinct adjuvant_id)
        from clean_mimic_iv.adjuvant
        inner join reference.adjuvant_name
            on contains(' ' || regexp_replace(lower(drug_text), '[^a-z]+', ' ', 'g') || ' ', ' ' || word || ' ')
        where excluded_reason is null and drug_class = '{drug_class}'
        """,
    )
    assert mapped_rows == rows
