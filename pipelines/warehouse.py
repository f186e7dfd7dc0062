"""The DuckDB warehouse: opening it locked down, and building tables in it from contracts and SQL files."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines import paths
from pipelines.contracts import Contract
from pipelines.errors import ContractError, SqlFileError, StudyError, WorkspaceError
from pipelines.sql_files import Macro, SqlFile

Connection = duckdb.DuckDBPyConnection


@contextmanager
def opened(
    path: Path, readable: Sequence[Path] = (), memory_limit: str = "4GB", read_only: bool = False
) -> Iterator[Connection]:
    """Open a warehouse that can reach no other file than the named folders.

    Args:
        readable: Folders with extracts, or databases, for ingest only; later steps open with none.
        memory_limit: DuckDB's own limit; more spills into a folder beside the warehouse.

    Raises:
        WorkspaceError: Another process holds the warehouse open.
        StudyError: The memory limit is too small for what is done with the connection.
    """
    spill = path.parent / "spill"
    spill.mkdir(exist_ok=True, mode=0o700)
    try:
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException:
        raise WorkspaceError(f"{path}: another program has the warehouse open. Close it there and run again.") from None
    with connection:
        try:
            lock_down(connection, spill, readable, memory_limit)
            yield connection
        except duckdb.OutOfMemoryException:
            raise StudyError(f"memory_limit: {memory_limit} is too little for this study. Raise it there.") from None


@contextmanager
def over(path: Path, tables: Iterable[str], memory_limit: str = "4GB") -> Iterator[Connection]:
    """An empty warehouse in memory that sees some tables of a stored one, which nothing can change.

    Args:
        tables: What is to be seen under its own name; the stored one as a whole is ``stored``.

    Raises:
        WorkspaceError: Another process holds the stored warehouse open, or it lacks a table.
        StudyError: The memory limit is too small for what is done with the connection.
    """
    with duckdb.connect() as connection:
        try:
            connection.execute(f"attach {_literal(path)} as stored (read_only)")
            for table in sorted(tables):
                connection.execute(f"create schema if not exists {table.split('.')[0]}")
                connection.execute(f"create view {table} as from stored.{table}")
            lock_down(connection, path.parent / "spill", [], memory_limit)
        except duckdb.IOException:
            raise WorkspaceError(f"{path}: another program has the warehouse open. Close it there first.") from None
        except duckdb.CatalogException:
            raise WorkspaceError(
                f"{path}: lacks a table, so another version of the project made it. Run the study again."
            ) from None
        try:
            yield connection
        except duckdb.OutOfMemoryException:
            raise StudyError(f"memory_limit: {memory_limit} is too little for this study. Raise it there.") from None


def lock_down(connection: Connection, spill: Path, readable: Sequence[Path], memory_limit: str) -> None:
    """Take away every way to reach a file or the network but the named folders and databases. The order matters."""
    databases = [path for path in readable if path.is_file()]
    folders = ", ".join(_literal(folder) for folder in (spill, *readable) if folder not in databases)
    # DuckDB looks for the log of a database beside it.
    files = ", ".join(f"{_literal(path)}, {_literal(f'{path}.wal')}" for path in databases)
    connection.execute(f"set temp_directory = {_literal(spill)}")
    connection.execute(f"set allowed_directories = [{folders}]")
    connection.execute(f"set allowed_paths = [{files}]")
    connection.execute("set enable_external_access = false")
    # Else a name in a query that no table has is looked up among the variables of the Python that runs it.
    connection.execute("set python_enable_replacements = false")
    for extensions in ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions"):
        connection.execute(f"set {extensions} = false")
    connection.execute(f"set memory_limit = {_literal(memory_limit)}")
    connection.execute("set enable_progress_bar = false")
    connection.execute("set lock_configuration = true")


def create(connection: Connection, contract: Contract) -> None:
    """Make the empty table a contract describes, replacing what was there."""
    connection.execute(f"create schema if not exists {contract.schema_name}")
    connection.execute(contract.ddl)


def create_if_missing(connection: Connection, contract: Contract) -> None:
    connection.execute(f"create schema if not exists {contract.schema_name}")
    connection.execute(contract.ddl.replace("create or replace table", "create table if not exists", 1))


def keep_only(connection: Connection, tables: Collection[str]) -> None:
    """Drop every table that is not among these, with what was written along for it.

    A warehouse outlives its runs, so it can hold a source that the study named once.
    """
    found = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    kept_schemas = {table.split(".")[0] for table in tables}
    for schema in {schema for schema, _ in found} - kept_schemas:
        connection.execute(f'drop schema "{schema}" cascade')
    for schema, name in found:
        if schema in kept_schemas and f"{schema}.{name}" not in tables:
            connection.execute(f'drop table "{schema}"."{name}"')
    for written_along in ("raw.delivery", "raw.quarantine"):
        schema, name = written_along.split(".")
        if (schema, name) in found:
            connection.execute(
                f"delete from {written_along} where not list_contains(?, 'raw_' || source || '.' || table_name)",
                [sorted(tables)],
            )


def build_from_sql(connection: Connection, sql: SqlFile, contract: Contract, values: Mapping[str, Any]) -> int:
    """Build the table a SQL file is about: DDL from its contract, then the file's rows by name.

    Returns:
        Rows in the new table.

    Raises:
        SqlFileError: The file fails to run. DuckDB's own message quotes rows, so only its kind is told.
    """
    create(connection, contract)
    insert(connection, sql, contract.table, values)
    return count(connection, contract.table)


def build_untyped(connection: Connection, sql: SqlFile) -> int:
    """Build a table that no contract describes, of the types that the file's columns have."""
    connection.execute(f"create schema if not exists {sql.table.split('.')[0]}")
    _run(connection, sql, f"create or replace table {sql.table} as", {})
    return count(connection, sql.table)


def insert(connection: Connection, sql: SqlFile, into: str, values: Mapping[str, Any]) -> None:
    """Insert what a SQL file selects, by column name."""
    _run(connection, sql, f"insert into {into} by name", values)


def create_macros(connection: Connection, macros: Iterable[Macro]) -> None:
    """Let the connection call macros; the tables that they read must be there."""
    for macro in macros:
        connection.execute(macro.text)


def _run(connection: Connection, sql: SqlFile, verb: str, values: Mapping[str, Any]) -> None:
    if unknown := sorted(sql.parameters - set(values)):
        raise SqlFileError(f"{paths.relative(sql.path)}: uses ${unknown[0]}, which is no parameter. Correct its name.")
    used = {name: values[name] for name in sql.parameters}
    try:
        create_macros(connection, sql.macros)
        connection.execute(f"{verb}\n{sql.text}", used)
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        # These speak of the file's text, never of a row.
        raise SqlFileError(f"{paths.relative(sql.path)}: {_first_line(error)}. Mend the file.") from None
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise SqlFileError(
            f"{paths.relative(sql.path)}: {type(error).__name__} while it ran. Guard the step that casts or divides."
        ) from None


def build_from_frame(connection: Connection, frame: pl.DataFrame, contract: Contract) -> int:
    """Build a table from a frame that has the contract's columns.

    Raises:
        ContractError: The frame has other columns.
    """
    if set(frame.columns) != set(contract.column_names):
        differing = sorted(set(frame.columns) ^ set(contract.column_names))
        raise ContractError(
            f"{contract.table}: {contract.built_by} and the contract differ in {differing}. Align them."
        )
    create(connection, contract)
    connection.register("built_frame", frame)
    connection.execute(f"insert into {contract.table} by name from built_frame")
    connection.unregister("built_frame")
    return count(connection, contract.table)


def build_reference(connection: Connection, contract: Contract) -> int:
    """Load a cited reference table from the CSV of the same name under ``sql/1_reference``.

    Raises:
        ContractError: The CSV and the contract differ, or a value does not cast.
    """
    file = paths.SQL / "1_reference" / f"{contract.name}.csv"
    rows = pl.read_csv(file, infer_schema=False)
    if rows.columns != contract.column_names:
        raise ContractError(f"{paths.relative(file)}: its columns are not the contract's. Align the header.")
    create(connection, contract)
    connection.register("reference_rows", rows)
    try:
        connection.execute(f"insert into {contract.table} by name from reference_rows")
    except duckdb.ConversionException:
        raise ContractError(f"{paths.relative(file)}: a value does not have its column's type. Correct it.") from None
    finally:
        connection.unregister("reference_rows")
    return count(connection, contract.table)


def count(connection: Connection, table: str) -> int:
    [[rows]] = connection.execute(f"select count(*) from {table}").fetchall()
    return rows


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].rstrip(".")
