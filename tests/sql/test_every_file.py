"""What every SQL file and every contract keeps to, checked without any data."""

import re

import duckdb
import pytest

from pipelines import contracts, paths, sources, sql_files, tables, warehouse
from tests.conftest import PARAMETERS, draw, types_of

CONTRACTS = contracts.all_contracts()
SOURCES = sorted(folder.name for folder in (paths.SQL / "2_clean").iterdir() if folder.is_dir())
MAPPINGS = [mapping for source in SOURCES for mapping in sql_files.mappings(source)]
SHARED = {sql.table: sql for source in SOURCES for sql in sql_files.shared(source)}
FILES = [*sql_files.tables(), *MAPPINGS, *sql_files.rules()]
CITED = [CONTRACTS[f"reference.{path.stem}"] for path in sorted((paths.SQL / "1_reference").glob("*.csv"))]
STEP = {path.name.split("_", 1)[1]: int(path.name[0]) for path in paths.DATA_CONTRACTS.glob("[0-9]_*")}


def step(table: str) -> int:
    return STEP[table.split(".")[0].split("_")[0]]


@pytest.fixture(params=FILES, ids=lambda sql: sql.table)
def sql(request):
    return request.param


def draw_empty(connection: duckdb.DuckDBPyConnection, reads: set[str]) -> None:
    """Create the tables a file reads; what mappings of a source share is built from its own."""
    for table in reads - set(SHARED):
        draw(connection, table)
    for table in reads & set(SHARED):
        draw_empty(connection, SHARED[table].reads)
        warehouse.build_untyped(connection, SHARED[table])


def test_a_file_selects_the_columns_its_contract_promises(sql):
    connection = duckdb.connect()
    draw_empty(connection, sql.reads)
    values = {name: PARAMETERS[name] for name in sql.parameters}
    warehouse.create_macros(connection, sql.macros)
    connection.execute(f"create table built as {sql.text}", values)
    built = {name for name, *_ in connection.execute("describe built").fetchall()}
    promised = set(types_of(sql.table))
    if sql in MAPPINGS:
        assert {*sources.MAPPING_COLUMNS} <= built <= promised
    else:
        assert built == promised


def test_a_file_builds_on_empty_tables_with_its_contracts_types(sql):
    connection = duckdb.connect()
    draw_empty(connection, sql.reads)
    draw(connection, sql.table)
    values = {name: PARAMETERS[name] for name in sql.parameters}
    warehouse.create_macros(connection, sql.macros)
    connection.execute(f"insert into {sql.table} by name\n{sql.text}", values)


def test_the_header_names_the_contracts_key(sql):
    if sql in MAPPINGS:
        assert sql.key == CONTRACTS[f"clean.{sql.table.split('.')[1]}"].key
    else:
        assert sql.key == CONTRACTS["label.vote" if sql in sql_files.rules() else sql.table].key


def test_a_table_reads_only_from_its_own_or_an_earlier_step(sql):
    assert all(step(table) <= step(sql.table) for table in sql.reads)


def test_every_table_read_has_a_contract(sql):
    assert sql.reads <= {*CONTRACTS, *SHARED}


@pytest.mark.parametrize("table", SHARED)
def test_what_mappings_share_is_read_by_several_reads_delivered_tables_and_takes_no_clean_tables_name(table):
    shared = SHARED[table]
    assert sum(table in mapping.reads for mapping in MAPPINGS) > 1
    assert {read.split("_")[0].split(".")[0] for read in shared.reads} <= {"raw", "reference"}
    assert f"clean.{table.split('.')[1]}" not in CONTRACTS
    assert shared.header["Scope"] == "patient"
    assert not shared.parameters


def test_every_parameter_is_a_setting(sql):
    assert sql.parameters <= set(PARAMETERS)


def test_the_scope_is_patient_or_cohort(sql):
    assert sql.header["Scope"] in ("patient", "cohort")


def test_whatever_a_feature_is_made_of_depends_on_one_patient_at_a_time():
    """So patients can be run in batches, and a score of one does not move when others come or go."""
    files = {sql.table: sql for sql in sql_files.tables()}
    found, left = set(), {"episode.feature"}
    while left:
        table = left.pop()
        found.add(table)
        left |= _reads(table, files) - found
    assert {files[table].header["Scope"] for table in found & set(files)} == {"patient"}


def _reads(table, files):
    return files[table].reads if table in files else set(CONTRACTS[table].reads) if table in CONTRACTS else set()


@pytest.mark.parametrize("rule", sql_files.rules(), ids=lambda rule: rule.path.stem)
def test_a_rules_header_is_its_card(rule):
    assert rule.header["Rule"] and rule.header["Unseen"]
    assert rule.settings


@pytest.mark.parametrize("rule", sql_files.rules(), ids=lambda rule: rule.path.stem)
def test_the_settings_that_a_rules_card_names_move_what_it_reads(rule):
    files = {sql.table: sql for sql in sql_files.tables()}
    found, left = set(), {*rule.reads}
    while left:
        table = left.pop()
        found.add(table)
        left |= _reads(table, files) - found
    used = set().union(*(files[table].parameters for table in found & set(files)))
    kernels = [paths.ROOT / "pipelines" / f"{CONTRACTS[table].name}.py" for table in found if table in CONTRACTS]
    code = "".join(kernel.read_text() for kernel in kernels if kernel.exists())
    used |= set(re.findall(r"settings\.(\w+)", code))
    named = set(rule.settings) - rule.parameters
    assert named <= used


def test_a_file_is_short_enough_to_be_linted(sql):
    assert len(sql.text.encode()) < 20_000


def test_a_raw_table_drives_a_mapping_once():
    """Each look at a table is a step of its own in the ledger."""
    driving = [(mapping.table, table) for mapping in MAPPINGS for table in mapping.driving_tables]
    assert len(driving) == len(set(driving))


def test_a_mapping_reads_only_its_own_source():
    for mapping in MAPPINGS:
        own = mapping.table.split(".")[0].replace("clean_", "raw_")
        assert all(table.startswith((own + ".", "reference.")) for table in mapping.reads - set(SHARED))
        assert all(table.split(".")[0] == mapping.table.split(".")[0] for table in mapping.reads & set(SHARED))


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.table)
def test_a_contract_describes_itself_and_every_column(contract):
    assert contract.description.endswith(".")
    assert all(column.description.endswith(".") for column in contract.columns)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.table)
def test_every_table_has_exactly_one_way_to_be_built(contract):
    from_sql = contract.table in {sql.table for sql in sql_files.tables()}
    from_csv = contract in CITED
    filled = contract in sources.filled_contracts() or contract.table == "label.vote"
    written_along = contract.is_raw or contract.table in tables.WRITTEN_ALONG
    assert [from_sql, from_csv, filled, written_along, bool(contract.built_by)].count(True) == 1


@pytest.mark.parametrize("contract", CITED, ids=lambda contract: contract.table)
def test_every_row_of_a_reference_table_is_cited(contract):
    from pipelines import warehouse

    connection = duckdb.connect()
    assert warehouse.build_reference(connection, contract) > 0
    [[uncited]] = connection.execute(f"select count(*) from {contract.table} where citation is null").fetchall()
    assert uncited == 0
