"""Fixtures that let a test draw rows as text.

Types come from the data contracts; an empty cell is NULL, and so is a column that is not drawn; '' is the empty text.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines import contracts, paths, sql_files, warehouse
from pipelines.settings import Settings
from pipelines.sources import FILLED_COLUMNS, MAPPING_COLUMNS
from pipelines.study import DosePolicy, Pain

# Tests run side by side, and threads of scikit-learn that wait for one another take the time of both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Read once: parsing YAML and SQL takes longer than a table of five rows.
CONTRACTS = contracts.all_contracts()
PARAMETERS = (
    Settings().parameters()
    | DosePolicy().model_dump()
    | {f"pain_{name}": value for name, value in Pain().model_dump().items()}
    | {
        "factor_set": "cdc_2022",
        "parenteral_factor_set": None,
        "dose_definition": "on_therapy_days",
        "min_cell_count": 11,
        "shifted_sources": [],
    }
)


def rows_of(drawing: str) -> list[dict[str, str | None]]:
    """Rows of a drawing: a header line, a ruler, then a line per row, cells parted by ``|``."""
    lines = [line for line in drawing.strip().splitlines() if line.strip()]
    header = [cell.strip() for cell in lines[0].split("|")]
    cells = [[_value(cell.strip()) for cell in line.split("|")] for line in lines[2:]]
    return [dict(zip(header, row, strict=True)) for row in cells]


def _value(cell: str) -> str | None:
    return "" if cell == "''" else cell or None


@cache
def sql_file(table: str) -> sql_files.SqlFile:
    """The SQL file of a table: of a shared step, a source's mapping or a rule."""
    schema, name = table.split(".")
    if schema.startswith("clean_"):
        folder = paths.SQL / "2_clean" / schema.removeprefix("clean_")
        return sql_files.read(folder / ("shared" if is_shared(table) else "") / f"{name}.sql")
    if schema == "label_rules":
        return sql_files.read(sql_files.RULES / f"{name}.sql")
    return next(sql for sql in sql_files.tables() if sql.table == table)


def types_of(table: str) -> dict[str, str]:
    """Column types a SQL file's rows are given, from the contract it answers to."""
    schema, name = table.split(".")
    if schema.startswith("clean_"):
        kept = CONTRACTS[f"clean.{name}"].types.items()
        return {column: type_ for column, type_ in kept if column not in FILLED_COLUMNS} | MAPPING_COLUMNS
    return CONTRACTS["label.vote" if schema == "label_rules" else table].types


def is_shared(table: str) -> bool:
    """Whether a table is what several mappings of a source share: it has no contract."""
    schema, name = table.split(".")
    return schema.startswith("clean_") and f"clean.{name}" not in CONTRACTS


def draw(connection: duckdb.DuckDBPyConnection, table: str, drawing: str = "") -> None:
    """Create a table from its contract and fill it with drawn rows."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in types_of(table).items())
    connection.execute(f"create schema if not exists {table.split('.')[0]}")
    connection.execute(f"create or replace table {table} ({columns})")
    for row in rows_of(drawing) if drawing.strip() else []:
        marks = ", ".join("?" for _ in row)
        connection.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))


def select(
    *tables: str, given: Mapping[str, str], settings: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Run SQL files over drawn tables, one after the other; the connection then holds their tables."""
    drawn = dict(given)
    connection = duckdb.connect()
    shared = sorted({name for table in tables for name in sql_file(table).reads if is_shared(name)})
    for name in sorted({name for table in (*tables, *shared) for name in sql_file(table).reads} - {*tables, *shared}):
        if name.startswith("reference.") and name not in drawn and not CONTRACTS[name].built_by:
            warehouse.build_reference(connection, CONTRACTS[name])
        else:
            draw(connection, name, drawn.pop(name, ""))
    assert not drawn, f"{tables} do not read {', '.join(drawn)}"
    for name in shared:
        warehouse.build_untyped(connection, sql_file(name))
    for table in tables:
        draw(connection, table)
        warehouse.insert(connection, sql_file(table), table, PARAMETERS | dict(settings or {}))
    return connection


@pytest.fixture
def check_sql() -> Callable[..., None]:
    """Build tables from given rows and compare the drawn columns of the last one with the expected rows.

    Reference tables that are not drawn are the project's own.
    """

    def check(*tables: str, given: dict[str, str], then: str, settings: dict[str, Any] | None = None) -> None:
        connection = select(*tables, given=given, settings=settings)
        table = tables[-1]
        columns = [cell.strip() for cell in then.strip().splitlines()[0].split("|")]
        actual = connection.sql(f"select {', '.join(columns)} from {table}").pl()
        types = ", ".join(f"{column} {types_of(table)[column]}" for column in columns)
        connection.execute(f"create or replace table expected ({types})")
        for row in rows_of(then):
            marks = ", ".join("?" for _ in row)
            connection.execute(f"insert into expected values ({marks})", list(row.values()))
        expected: pl.DataFrame = connection.sql("from expected").pl()
        assert_frame_equal(actual, expected, check_row_order=False)

    return check


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own, in memory."""
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder for an extract."""
    path = tmp_path / "extract"
    path.mkdir()
    return path
