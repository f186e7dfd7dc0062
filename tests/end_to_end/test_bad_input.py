"""What is delivered spoiled ends in one clear line or in quarantine with its reason: nothing is lost, nothing leaks."""

import re
import subprocess
import sys

import pytest

from pipelines import study as studies
from pipelines import tables, warehouse
from pipelines.cli.check import check as oih_check
from pipelines.cli.run import run as oih_run
from pipelines.errors import PipelineError
from pipelines.run import Run
from pipelines.workspace import Workspace
from tests.end_to_end.conftest import append, compress, oih


def refused(study) -> str:
    with pytest.raises(PipelineError) as error:
        oih_check(study)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_missing_extract_folder(study, tmp_path):
    assert "gone: is not a folder" in refused(study(sources={"simulated": {"folder": "gone"}}))


@pytest.mark.parametrize("place", ["patient.csv", ""])
def test_a_file_or_folder_that_may_not_be_read_is_said_to_be_just_that(study, extract, place, bound_by_permissions):
    file = study()
    (extract / place).chmod(0)
    left = oih("check", file, prefix=bound_by_permissions)
    (extract / place).chmod(0o700)
    assert left.returncode == 1
    assert left.stderr.startswith(f"error: {extract / place}: cannot be read (Permission denied). ")
    assert len(left.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("place", ["out", "out/lock", "out/work", "out/runs", "out/work/warehouse.duckdb"])
def test_an_output_that_may_not_be_written_is_said_before_anything_runs(
    study, extract, tmp_path, place, bound_by_permissions
):
    file = study()
    Workspace(studies.load(file)).create()
    for written in ("out/lock", "out/work/warehouse.duckdb"):
        (tmp_path / written).touch()
    (tmp_path / place).chmod(0o400)
    lock = [sys.executable, "-c", "import sys; from pathlib import Path; from pipelines import study, workspace\n"]
    lock[-1] += "with workspace.Workspace(study.load(Path(sys.argv[1]))).locked(): pass"
    left = subprocess.run([*bound_by_permissions, *lock, str(file)], capture_output=True, text=True)
    (tmp_path / place).chmod(0o700)
    said = left.stderr.strip().splitlines()[-1]
    assert "WorkspaceError" in said
    assert "cannot be written (Permission denied)" in said


def test_truth_that_is_not_there_is_said_before_anything_runs(study, extract, tmp_path):
    file = study(truth="truth")
    assert "truth: has no patient.csv" in refused(file)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "patient.csv").touch()
    with pytest.raises(PipelineError, match=r"has no escalation\.csv .* delete the truth line"):
        oih_run(file)
    assert not (tmp_path / "out").exists()


def test_too_little_memory_names_the_limit(tmp_path):
    with (
        pytest.raises(PipelineError, match=r"memory_limit: 1MB is too little"),
        warehouse.opened(tmp_path / "w.duckdb", memory_limit="1MB") as connection,
    ):
        connection.execute("select list(range) from range(1000000)").fetchall()


def test_a_missing_file(study, extract):
    (extract / "procedure.csv").unlink()
    assert "procedure" in refused(study())


def test_an_empty_file(study, extract):
    (extract / "procedure.csv").write_bytes(b"")
    assert "procedure.csv" in refused(study())


def test_all_drifted_columns_are_said_at_once_before_anything_is_built(study, extract, capsys):
    for name, old, new in (("patient", "birth_year", "born"), ("diagnosis", "diagnosis_date", "date_of_it")):
        file = extract / f"{name}.csv"
        file.write_text(file.read_text().replace(old, new, 1))
    file = study()
    message = refused(file)
    assert "diagnosis.csv: has no column diagnosis_date, but date_of_it" in message
    assert "patient.csv: has no column birth_year, but born" in message
    assert "critical: patient.csv: has no column birth_year" in capsys.readouterr().out
    loaded = studies.load(file)
    run = Run(loaded, "drifted")
    with run, pytest.raises(PipelineError, match="has no column diagnosis_date"):
        run.build(next(table for table in tables.of(loaded) if not table.is_ingest))
    assert not run.row_counts
    assert "has no column diagnosis_date" in (run.folder / "quality" / "index.html").read_text()


def test_a_missing_column(study, extract):
    file = extract / "diagnosis.csv"
    file.write_text(file.read_text().replace("diagnosis_date", "date_of_something", 1))
    assert "diagnosis_date" in refused(study())


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding(study, extract, encoding):
    file = extract / "prescription.csv"
    file.write_bytes(file.read_text().replace("Tablet", "Tablett f\u00fcr", 1).encode(encoding))
    assert "UTF-8" in refused(study())


def test_a_truncated_gzip(study, extract):
    file = extract / "pain_score.csv"
    (extract / "pain_score.csv.gz").write_bytes(compress(file)[:-200])
    file.unlink()
    assert "pain_score.csv.gz" in refused(study())


def test_what_is_delivered_compressed_with_a_mark_and_in_another_order_reads_the_same(study, extract, tmp_path):
    file = extract / "patient.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    reordered = "\n".join(",".join(reversed(row)) for row in rows)
    file.write_bytes(b"\xef\xbb\xbf" + reordered.encode())
    loaded = studies.load(study())
    with warehouse.opened(tmp_path / "w.duckdb", [extract]) as connection:
        for table in tables.of(loaded):
            if table.name in ("raw_simulated.patient", "raw.delivery"):
                table.build(connection, loaded)
        read = connection.sql("select patient_id, sex, birth_year from raw_simulated.patient order by source_row")
        assert read.fetchall() == [(row[0], row[1], int(row[2])) for row in rows[1:]]


def test_a_column_that_no_contract_declares_is_a_warning_that_names_it_and_no_value(study, extract, capsys):
    file = extract / "procedure.csv"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{header},ward", *(f"{row},CANARY" for row in rows)]) + "\n")
    oih_check(study())
    said = capsys.readouterr().out
    assert re.search(r"^warning: raw\.delivery \w+: failed, 1 .*Columns that no contract declares", said, re.MULTILINE)
    assert "warning: procedure.csv: 1 column that the contract does not declare: ward." in said
    assert "CANARY" not in said


# Each row is spoiled in one way; the canary stands in for a value nobody may see.
SPOILED = {
    "prescription.csv": {
        "R9000001,{patient},2021-02-30,oxycodone CANARY 10 MG,10,MG,oral,28,28": ("type", "fill_date"),
        "R9000002,{patient},2021-03-01,oxycodone CANARY 10 MG,10,MG,oral,-28,28": ("range", "quantity"),
        "R9000003,P999999,2021-03-01,oxycodone CANARY 10 MG,10,MG,oral,28,28": ("unknown_patient", "patient_id"),
        "R9000004,{patient},2021-03-01,oxycodone CANARY 10 MG,10,MG": ("ragged_row", None),
        "R9000005,{patient},2021-03-01,oxycodone CANARY\0 10 MG,10,MG,oral,28,28": ("nul_byte", None),
        'R9000006,{patient},2021-03-01,"oxycodone CANARY 10 MG,10,MG,oral,28,28': ("unclosed_quote", None),
        "{first}": ("duplicate_row", None),
    },
    "pain_score.csv": {
        "S9000001,{patient},2021-03-01T10:00:00,NRS,CANARY,7,scheduled": ("value", "setting"),
    },
}


@pytest.fixture
def spoiled(extract):
    patient = (extract / "patient.csv").read_text().splitlines()[1].split(",")[0]
    for name, rows in SPOILED.items():
        file = extract / name
        first = file.read_text().splitlines()[1]
        append(file, "".join(row.format(patient=patient, first=first) + "\n" for row in rows))
    return extract


def test_every_spoiled_row_is_in_quarantine_with_its_reason_and_the_run_goes_on(study, spoiled, tmp_path):
    loaded = studies.load(study())
    with warehouse.opened(tmp_path / "w.duckdb", [spoiled]) as connection:
        for table in tables.of(loaded):
            if table.step != "report" or table.name == "report.row_ledger":
                table.build(connection, loaded)
        found = connection.sql(
            "select rule, column_name from (from raw.quarantine union all by name from clean.quarantine)"
        ).fetchall()
        unbalanced = connection.sql(
            "select step, table_name from report.row_ledger group by all having "
            "sum(row_count) filter (outcome = 'entered') <> sum(row_count) filter (outcome <> 'entered')"
        ).fetchall()
    expected = [why for rows in SPOILED.values() for why in rows.values()]
    assert {rule for rule, _ in found} == {rule for rule, _ in expected}
    assert len(found) == len(expected)
    assert set(found) >= {why for why in expected if why[1]}
    assert unbalanced == []


def test_a_run_over_spoiled_rows_publishes_and_shows_none_of_their_values(study, spoiled, tmp_path):
    ran = oih("run", study())
    assert ran.returncode == 0, ran.stderr
    published = tmp_path / "out" / "current"
    pages = [file for file in published.rglob("*") if file.is_file() and file.suffix in (".html", ".json")]
    assert (published / "report" / "index.html") in pages
    dagster = [file for file in (tmp_path / "out" / ".dagster").rglob("*") if file.is_file()]
    for file in [*pages, *dagster]:
        assert b"CANARY" not in file.read_bytes(), file
    assert "CANARY" not in ran.stdout + ran.stderr


def test_too_many_rejected_rows_stop_the_run_with_the_check_and_leave_quality_pages(study, extract, tmp_path):
    file = extract / "patient.csv"
    header, *rows = file.read_text().splitlines()
    worse = [row.replace("-", "/") if number % 2 else row for number, row in enumerate(rows)]
    file.write_text("\n".join([header, *worse]) + "\n")
    ran = oih("run", study())
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ") and len(ran.stderr.strip().splitlines()) == 1
    # Which check, in which table, by how much.
    said = r"raw_simulated\.patient: so_many_rejected_rows\w*: failed, 40 of 80 rows \(at most 5 % allowed\)"
    assert re.search(said, ran.stderr)
    assert not (tmp_path / "out" / "current").exists()
    [page] = (tmp_path / "out" / "runs").glob("*/quality/index.html")
    assert "Run failed" in page.read_text()
    assert "clean.patient" in page.read_text().split("Not built and checked</h2>")[1]
