"""A run in Python, without Dagster: what it leaves in the warehouse and in its folder."""

import os
from dataclasses import replace

import duckdb
import pytest

from pipelines import checks, contracts, simulator, tables, warehouse
from pipelines import study as studies
from pipelines.errors import ExtractError
from pipelines.run import Run


@pytest.fixture
def study(tmp_path):
    """A made-up study of both sources; the hospital delivered headers and no rows."""
    simulator.write(simulator.simulate(20, 5), tmp_path)
    for contract in contracts.raw_contracts("mimic_iv"):
        assert contract.files
        file = tmp_path / "hospital" / contract.files.replace(".*", ".csv").replace("*", "")
        file.parent.mkdir(parents=True, exist_ok=True)
        declared = [column.delivered_as or column.name for column in contract.columns]
        file.write_text(",".join(declared) + "\n")
    sources = {"simulated": {"folder": tmp_path / "extract"}, "mimic_iv": {"folder": tmp_path / "hospital"}}
    return studies.Study(name="s", title="S", sources=sources, output=tmp_path / "out")


def without(study, source):
    return study.model_copy(update={"sources": {name: at for name, at in study.sources.items() if name != source}})


def build(run):
    for table in tables.needed_for("report.row_ledger", tables.of(run.study)):
        run.build(table)


def test_a_source_taken_out_of_a_study_leaves_ledger_manifest_and_warehouse(study, monkeypatch):
    monkeypatch.setattr(checks, "check", lambda *_: [])
    monkeypatch.setattr(checks, "data_docs", lambda *_, **__: None)
    with Run(study, "two") as two:
        build(two)
        assert {file["source"] for file in two._inputs()} == {"simulated", "mimic_iv"}
    with Run(without(study, "mimic_iv"), "one") as one:
        build(one)
        assert {file["source"] for file in one._inputs()} == {"simulated"}
        with one._connected() as connection:
            schemas = connection.sql("select distinct schema_name from duckdb_tables()").fetchall()
            for table in ("report.row_ledger", "raw.quarantine", "clean.quarantine", "clean.row_outcome"):
                found = connection.sql(f"select distinct source from {table}").fetchall()
                assert set(found) <= {("simulated",)}, table
    assert not [name for (name,) in schemas if "mimic" in name]


def test_a_failed_run_leaves_quality_pages_with_the_reason_and_the_tables_it_never_reached(study, tmp_path):
    (tmp_path / "extract" / "patient.csv").write_bytes(b"")
    by_name = {table.name: table for table in tables.of(study)}
    with Run(study, "failed") as run:
        run.build(by_name["raw_simulated.procedure"])
        with pytest.raises(ExtractError):
            run.build(by_name["raw_simulated.patient"])
    page = (run.folder / "quality" / "index.html").read_text()
    assert "Run failed" in page
    assert "patient.csv: is empty. Deliver it again." in page
    assert "Every check passed" not in page
    never_reached = page.split("Not built and checked</h2>")[1]
    assert "raw_simulated.patient" in never_reached and "clean.prescription" in never_reached
    assert "raw_simulated.procedure," not in never_reached


def test_failed_runs_do_not_pile_up(study, monkeypatch):
    monkeypatch.setattr(checks, "data_docs", lambda *_, **__: None)
    for number in range(5):
        with Run(study, str(number)) as run:
            pass
        os.utime(run.folder, (number, number))
    with Run(study, "last") as run:
        pass
    assert sorted(folder.name for folder in run.folder.parent.iterdir()) == ["3", "4", "last"]


def test_what_a_bug_says_is_not_on_the_quality_pages_for_it_can_quote_a_row(study):
    def bug(connection, study):
        raise KeyError("CANARY")

    [table] = [table for table in tables.of(study) if table.name == "clean.patient"]
    with Run(study, "failed") as run, pytest.raises(KeyError):
        run.build(replace(table, build=bug))
    page = (run.folder / "quality" / "index.html").read_text()
    assert "clean.patient: stopped by a bug or from outside" in page
    assert "CANARY" not in page


def test_checks_of_a_raw_table_can_read_no_file(study, tmp_path, monkeypatch):
    """A query of a contract that got past every gate would find the extracts closed."""
    checked = []

    def check(connection, contract):
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"from read_text('{tmp_path / 'extract' / 'patient.csv'}')")
        checked.append(contract.table)
        return []

    monkeypatch.setattr(checks, "check", check)
    monkeypatch.setattr(checks, "data_docs", lambda *_, **__: None)
    with Run(study, "one") as run:
        run.build({table.name: table for table in tables.of(study)}["raw_simulated.patient"])
    assert checked == ["raw_simulated.patient"]


def test_the_warehouse_stays_open_from_one_table_to_the_next(study, monkeypatch):
    opened = []
    real = warehouse.opened
    monkeypatch.setattr(warehouse, "opened", lambda *given, **named: opened.append(given) or real(*given, **named))
    by_name = {table.name: table for table in tables.of(study)}
    with Run(study, "one") as run:
        for name in ("reference.route", "reference.pain_scale", "reference.pain_item"):
            run.build(by_name[name])
        assert len(opened) == 1
