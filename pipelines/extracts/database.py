"""A DuckDB database in place of an extract's folder: one of its tables for each file that a contract names."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import duckdb

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts.delivered import (
    DeliveredFile,
    Delivery,
    check_columns,
    files_of,
    require_folder,
    sql_name,
    sql_text,
    text_columns,
)
from pipelines.warehouse import Connection, count

_ATTACHED = "delivered_database"


def find(connection: Connection, contract: Contract, path: Path) -> dict[str, Path]:
    """The table whose name is that of the contract's files without their ending, in any spelling.

    It is looked for in the schema that the contract names, else in all.

    Raises:
        ExtractError: The database cannot be opened, or several schemas have the table.
    """
    require_folder(path)
    with _attached(connection, path):
        return {_where(path, schema, table): path for schema, table in _tables(connection, contract, path)}


def read(file: DeliveredFile) -> Delivery:
    """Read the declared columns as text; a row's number is its place in the table."""
    with attached(file.connection, file.contract, file.path) as rows:
        try:
            delivered = [name for name, *_ in file.connection.execute(f"describe {rows}").fetchall()]
            columns = check_columns(file, delivered)
            selected = text_columns(file.contract, dict(zip(columns, delivered, strict=True)))
            file.connection.execute(f"create temp table {file.table} as select {selected} from {rows} order by rowid")
        except (duckdb.OutOfMemoryException, duckdb.PermissionException):
            raise
        except duckdb.Error:  # damage shows as any kind of error
            raise _damaged(file.where) from None
    return Delivery(file, columns, count(file.connection, file.table))


@contextmanager
def attached(connection: Connection, contract: Contract, path: Path) -> Iterator[str]:
    """Open the database, and give the table's name in SQL.

    Raises:
        ExtractError: The database cannot be opened, or several schemas have the table.
    """
    with _attached(connection, path):
        [(schema, table)] = _tables(connection, contract, path)
        yield f"{_ATTACHED}.{sql_name(schema)}.{sql_name(table)}"


@contextmanager
def _attached(connection: Connection, path: Path) -> Iterator[None]:
    if Path(f"{path}.wal").exists():
        raise ExtractError(
            f"{path}: has changes in a .wal file beside it. Open it in DuckDB, run checkpoint, close it."
        )
    try:
        connection.execute(f"attach {sql_text(str(path))} as {_ATTACHED} (type duckdb, read_only)")
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except (duckdb.IOException, duckdb.BinderException) as error:
        if "lock" in str(error) or "already" in str(error):
            raise ExtractError(f"{path}: another program has it open. Close it there and run again.") from None
        raise _damaged(path) from None
    except duckdb.Error:
        raise _damaged(path) from None
    try:
        yield
    finally:
        connection.execute(f"detach {_ATTACHED}")


def _damaged(where: object) -> ExtractError:
    return ExtractError(f"{where}: is damaged, or no database of this version of DuckDB. Deliver it again.")


def _tables(connection: Connection, contract: Contract, path: Path) -> list[tuple[str, str]]:
    listed = connection.execute(
        """select schema_name, table_name, false as is_view from duckdb_tables()
        where database_name = $database and not internal
        union all
        select schema_name, view_name, true from duckdb_views() where database_name = $database and not internal
        order by all""",
        {"database": _ATTACHED},
    ).fetchall()
    name = PurePosixPath(files_of(contract)).name.lower().split(".")[0]
    found = [named for named in listed if fnmatchcase(named[1].lower(), name)]
    if wanted := contract.database_schema:
        found = [named for named in found if named[0].lower() == wanted.lower()]
    if len(found) > 1:
        several = ", ".join(f"{schema}.{table}" for schema, table, _ in found)
        schemas = sorted({schema for schema, *_ in found})
        advice = (
            f"Say which beside the folder of the source in the study: schema: {schemas[0]}"
            if len(schemas) == len(found)
            else "Leave one: drop or rename the others"
        )
        raise ExtractError(f"{path}: has {several}, but {contract.table} is one table. {advice}.")
    # What a view shows may lie elsewhere.
    if view := next((f"{schema}.{table}" for schema, table, is_view in found if is_view), None):
        raise ExtractError(f"{path}: {view} is a view, and only tables are read. Make it a table (create table as).")
    return [(schema, table) for schema, table, _ in found]


def _where(path: Path, schema: str, table: str) -> str:
    return f"{path.name}/{schema}.{table}"
