"""The open hospital extract, whole: its counts, its ledger, and a report that says what cannot be known."""

import duckdb
import pytest
import yaml

from tests import mimic_iv_demo
from tests.end_to_end.conftest import oih

pytestmark = mimic_iv_demo.needed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic")
    content = yaml.safe_load(mimic_iv_demo.STUDY.read_text())
    study = folder / "study.yaml"
    study.write_text(
        yaml.safe_dump(content | {"sources": {"mimic_iv": {"folder": str(mimic_iv_demo.EXTRACT)}}, "output": "out"})
    )
    ran = oih("run", study)
    assert ran.returncode == 0, ran.stderr
    return folder / "out" / "current"


@pytest.fixture(scope="module")
def warehouse(run):
    with duckdb.connect(str(run / "warehouse.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def ledger(warehouse):
    rows = warehouse.execute("select step, table_name, outcome, reason, row_count from report.row_ledger").fetchall()
    return {tuple(row[:4]): row[4] for row in rows}


def test_the_opioid_rows_are_all_there(ledger):
    assert ledger["clean", "prescriptions", "clean", ""] == 963
    assert ledger["clean", "inputevents", "clean", ""] == 1358
    emar = {key: rows for key, rows in ledger.items() if key[:2] == ("clean", "emar") and key[2] != "entered"}
    not_opioid = ("not_an_opioid", "drug_not_named")
    assert (
        sum(emar.values())
        - ledger["clean", "emar", "excluded", "not_an_opioid"]
        - ledger["clean", "emar", "excluded", not_opioid[1]]
        == 2489
    )


def test_the_pain_rows_are_all_there(warehouse):
    found = warehouse.execute(
        "select count(*), count(pain_nrs), count(distinct patient_index) filter (pain_nrs is not null) "
        "from trajectory.pain_reading where is_counted"
    ).fetchall()
    assert found == [(2099, 1456, 88)]


def test_every_row_is_accounted_for(ledger):
    steps = {(step, table) for step, table, _, _ in ledger}
    for step, table in steps:
        entered = ledger[step, table, "entered", ""]
        left = sum(rows for key, rows in ledger.items() if key[:2] == (step, table) and key[2] != "entered")
        assert entered == left, (step, table)


def test_the_report_says_how_many_patients_fail_which_requirement(run, warehouse):
    page = (run / "report" / "index.html").read_text()
    assert "not classifiable" in page
    assert "Long-term opioid therapy" in page
    first = warehouse.execute("from report.attrition order by step_number limit 1").fetchall()
    episodes = warehouse.execute("select count(*) from episode.episode").fetchall()
    assert first[0][2:5] == (100, 15, 85)
    assert episodes == [(0,)]


def test_four_of_five_orders_have_an_amount_and_the_rest_say_why(warehouse):
    found = warehouse.execute(
        "select coalesce(reason, ''), count(*) from trajectory.record_amount where record_kind = 'order' group by all"
    ).fetchall()
    assert dict(found) == {
        "": 786,
        "ordered_as_infusion": 74,
        "ordered_as_patient_controlled": 57,
        "stopped_before_start": 37,
        "unknown_unit": 3,
        "no_strength": 2,
        "dose_not_ordered": 2,
        "no_strength_unit": 1,
        "no_dose_frequency": 1,
    }


def test_an_ordered_patch_has_the_dose_of_its_hours(warehouse):
    found = warehouse.execute(
        "select drug_text, low_dose_micro_mme, is_in_timeline from trajectory.record_dose "
        "inner join clean.prescription on record_id = prescription_id "
        "where drug_text ilike 'fentanyl patch%' order by low_dose_micro_mme"
    ).fetchall()
    # CDC 2022: 2.4 MME a day for each microgram an hour.
    assert [(micro_mme, counts) for _, micro_mme, counts in found] == [
        (28_800_000, False),
        (60_000_000, False),
        (120_000_000, False),
    ]


def test_orders_are_never_exposure_where_administrations_are_delivered_and_keep_both_ends_of_their_range(warehouse):
    found = warehouse.execute(
        "select bool_or(is_in_timeline), count(dose_micro_mme), count(low_dose_micro_mme), "
        "count(*) filter (low_dose_micro_mme < high_dose_micro_mme), bool_and(low_dose_micro_mme <= dose_micro_mme) "
        "from trajectory.record_dose where record_kind = 'order'"
    ).fetchall()
    assert found == [(False, 445, 445, 348, True)]
