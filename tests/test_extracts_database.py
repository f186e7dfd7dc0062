"""A DuckDB database in place of a folder: its tables are read like files, and it is never written to."""

import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines import drift, extracts, identifiers, simulator, tables, warehouse
from pipelines.errors import ExtractError, IdentifierError
from pipelines.extracts import delivered
from pipelines.study import Source, Study
from tests.test_extracts import Outcome, a_contract, outcome, refusal

RX = a_contract("id INTEGER, drug VARCHAR delivered_as=DRUG_NAME, day DATE", key=["id"], files="hosp/rx.csv*")


@pytest.fixture
def path(tmp_path) -> Path:
    folder = tmp_path / "extract"
    folder.mkdir()
    return folder / "cdm.duckdb"


def built(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as database:
        for statement in statements:
            database.execute(statement)
    return path


def test_a_table_goes_through_the_same_rules_as_a_file(connection, path):
    built(
        path,
        "create table RX (Id bigint, drug_name varchar, day timestamp, extra int)",
        "insert into rx values (1, 'codeine', '2024-01-05', 1), (1, '', null, 1), (2, '', '2024-01-05 08:00:00', 1)",
    )
    found = outcome(connection, RX, path)
    assert [(row[0], row[1], *row[3:]) for row in found.rows] == [(1, "codeine", "cdm.duckdb/main.RX", 1)]
    assert found.quarantine == [(2, "duplicate_key", "id"), (3, "type", "day")]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.deliveries[0][:9] == (
        "clinic", "rx", "cdm.duckdb/main.RX", digest, path.stat().st_size, 3, 1, 2, ["extra"],
    )  # fmt: skip


def test_a_database_without_the_table_is_refused_unless_it_may_be_missing(connection, path):
    built(path, "create table rx_old (id int)")
    assert refusal(connection, RX, path) == (
        f"hosp/rx.csv*: no such table in {path}. Deliver it, or correct the folder."
    )
    optional = RX.model_copy(update={"may_be_missing": True})
    assert outcome(connection, optional, path) == Outcome(extracts.Loaded(0, 0, 0, ()), [], [], [])


@pytest.mark.parametrize("may_be_missing", [False, True])
def test_a_view_in_place_of_a_table_is_refused_though_the_table_may_be_missing(connection, path, may_be_missing):
    built(path, "create view RX as select 1 as id, 'x' as drug_name, null as day")
    contract = RX.model_copy(update={"may_be_missing": may_be_missing})
    assert refusal(connection, contract, path) == (
        f"{path}: main.RX is a view, and only tables are read. Make it a table (create table as)."
    )


@pytest.mark.parametrize("kind", ["table old.rx (id int)", "view old.rx as select 1 as id"])
def test_a_table_in_two_schemas_is_refused(connection, path, kind):
    built(path, "create table rx (id int)", "create schema old", f"create {kind}")
    assert refusal(connection, RX, path) == (
        f"{path}: has main.rx, old.rx, but raw_clinic.rx is one table. Say which beside the folder of the source in the "
        "study: schema: main."
    )


def test_a_table_twice_in_one_schema_is_no_question_of_schemas(connection, path):
    built(path, "create table rx_1 (id int)", "create table rx_2 (id int)")
    several = RX.model_copy(update={"files": "rx_*.csv"})
    assert refusal(connection, several, path).endswith("is one table. Leave one: drop or rename the others.")


@pytest.mark.parametrize(("schema", "drug"), [("main", "codeine"), ("OLD", "morphine")])
def test_the_schema_that_is_named_is_read_and_no_other(connection, path, schema, drug):
    built(
        path,
        "create table rx as select 1 as id, 'codeine' as drug_name, null as day",
        "create schema old",
        "create table old.rx as select 1 as id, 'morphine' as drug_name, null as day",
        "create table old.pain as select 1 as id, 'x' as drug_name, null as day",
    )
    contract = RX.model_copy(update={"database_schema": schema})
    assert [row[1] for row in outcome(connection, contract, path).rows] == [drug]
    [head] = extracts.heads(contract, path)
    assert head.rows["drug_name"].to_list() == [drug]
    elsewhere = RX.model_copy(update={"database_schema": "cdm"})
    assert refusal(connection, elsewhere, path) == (
        f"hosp/rx.csv*: no such table in {path}, schema cdm. Deliver it, or correct the schema."
    )


def test_a_table_of_any_schema_and_odd_name_is_found(connection, path):
    built(path, 'create schema "a ""b"', 'create table "a ""b"."Rx" as select 1 as id, $$x$$ as drug_name, null as day')
    assert outcome(connection, RX, path).loaded.files == ('cdm.duckdb/a "b.Rx',)


def test_columns_that_are_missing_are_named(connection, path):
    built(path, "create table rx (id int, day date)")
    assert refusal(connection, RX, path).startswith("cdm.duckdb/main.rx: has no column DRUG_NAME.")


@pytest.mark.parametrize("content", [b"", b"SECRET", b"\0" * 20_000])
def test_a_file_that_is_no_database_is_refused(connection, path, content):
    path.write_bytes(content)
    message = refusal(connection, RX, path)
    assert message.startswith(f"{path}: is damaged, or no database")
    assert "SECRET" not in message


def test_a_database_that_is_cut_short_is_refused(connection, path):
    built(path, "create table rx as select range as id, 'x' as drug_name, null as day from range(200000)")
    path.write_bytes(path.read_bytes()[:300_000])
    assert "is damaged" in refusal(connection, RX, path)


def test_a_missing_database_is_refused(connection, path):
    assert refusal(connection, RX, path) == (
        f"{path}: is not a database. Deliver it, or correct the folder in the study."
    )


def test_a_database_that_another_program_writes_is_refused(connection, path):
    built(path, "create table rx (id int)")
    held = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()",
            path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert held.stdout and held.stdout.readline()
        assert "another program has it open" in refusal(connection, RX, path)
    finally:
        held.communicate(b"\n")


def test_changes_that_are_not_in_the_file_yet_are_not_overlooked(connection, path):
    built(path, "create table rx (id int)")
    Path(f"{path}.wal").write_bytes(b"")
    assert "has changes in a .wal file" in refusal(connection, RX, path)


def test_a_locked_down_warehouse_reads_the_database_and_no_neighbour(tmp_path, path):
    built(path, "create table rx as select 1 as id, 'x' as drug_name, null as day")
    built(path.with_name("other.duckdb"), "create table rx (id int)")
    before = path.read_bytes()
    with warehouse.opened(tmp_path / "warehouse.duckdb", [path]) as connection:
        assert outcome(connection, RX, path).loaded.loaded_rows == 1
        with pytest.raises(duckdb.PermissionException):
            connection.execute(f"attach '{path.with_name('other.duckdb')}' as other")
        attached = connection.execute("select database_name from duckdb_databases() where not internal").fetchall()
    assert attached == [("warehouse",)]
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["cdm.duckdb", "other.duckdb"]


def test_a_database_is_hashed_once_for_all_its_tables(connection, path, monkeypatch):
    built(path, "create table rx as select 1 as id, 'x' as drug_name, null as day", "create table pain as from rx")
    hashed = []
    monkeypatch.setattr(delivered, "_sha256", lambda file: hashed.append(file) or "0")
    outcome(connection, RX, path)
    extracts.load(connection, RX.model_copy(update={"table": "raw_clinic.pain", "files": "pain.*"}), "clinic", path)
    assert hashed == [path]


def test_a_changed_database_is_no_increment_under_the_same_name(connection, path):
    growing = RX.model_copy(update={"delivery": "increment"})
    built(path, "create table rx as select 1 as id, 'x' as drug_name, null as day")
    outcome(connection, growing, path)
    built(path, "insert into rx values (2, 'y', null)")
    assert "is not what it was when it was loaded" in refusal(connection, growing, path)
    renamed = path.rename(path.with_name("cdm_2.duckdb"))
    assert outcome(connection, growing, renamed).quarantine == [(1, "duplicate_row", None)]


def test_a_folder_may_be_named_like_a_database(tmp_path):
    folder = tmp_path / "extract.db"
    folder.mkdir()
    extracts.require_folder(folder)
    with pytest.raises(ExtractError, match="is not a folder"):
        extracts.require_folder(tmp_path / "extract")


def test_every_look_at_a_database_keeps_to_the_schema_that_the_study_names(tmp_path, path):
    simulator.write(simulator.simulate(20, 5), tmp_path)
    with duckdb.connect(str(path)) as database:
        database.execute("create schema old")
        for file in sorted((tmp_path / "extract").glob("*.csv")):
            database.execute(f"create table main.{file.stem} as from read_csv('{file}', all_varchar = true)")
            database.execute(f"create table old.{file.stem} as select *, '078-05-1120' as ssn from main.{file.stem}")
    source = Source(folder=path, database_schema="main")
    study = Study(name="s", title="S", sources={"simulated": source}, output=tmp_path / "out")
    assert drift.found(study) == []
    with duckdb.connect() as connection:
        identifiers.refuse(identifiers.screen(connection, study))
        [patient] = [table for table in tables.of(study) if table.name == "raw_simulated.patient"]
        assert patient.build(connection, study) == 20
    old = study.model_copy(update={"sources": {"simulated": source.model_copy(update={"database_schema": "old"})}})
    assert {(found.column, found.kind) for found in drift.found(old)} == {("ssn", "new")}
    with duckdb.connect() as connection, pytest.raises(IdentifierError, match=r"old\.patient: column ssn"):
        identifiers.refuse(identifiers.screen(connection, old))
