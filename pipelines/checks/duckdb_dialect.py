"""DuckDB as SQLAlchemy sees it, on the one connection the pipeline already holds.

Great Expectations opens connections of its own and reads a result after closing the connection it came from.
DuckDB refuses a second connection to a file that is open for writing unless it is configured alike, and a closed
connection takes its results along. So here "connecting" hands out the pipeline's connection, closing it does
nothing, and every statement gets a cursor to itself, which lasts until the table is checked.

Only one select at a time gets through, in a read-only transaction: the queries of a contract are not code of
this package.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy import pool

_lent: ContextVar[tuple[duckdb.DuckDBPyConnection, ExitStack]] = ContextVar("lent")


@contextmanager
def lend(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let SQLAlchemy read through a connection, and close every cursor afterwards: each holds a transaction."""
    with ExitStack() as cursors:
        token = _lent.set((connection, cursors))
        try:
            yield
        finally:
            _lent.reset(token)


def count_rows(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """How many rows a contract's query selects."""
    query = query.rstrip("; \n")
    counted = f"select count(*) from (\n{query}\n)"
    _require_one_select(counted)
    with connection.cursor() as cursor:
        cursor.execute("begin transaction read only")
        [[rows]] = cursor.execute(counted).fetchall()
    return rows


def _require_one_select(statement: str) -> None:
    kinds = [found.type for found in duckdb.extract_statements(statement)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise duckdb.InvalidInputException("A check runs exactly one select.")


class _Cursor(duckdb_engine.CursorWrapper):
    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        _require_one_select(statement)
        super().execute(statement, parameters, context)


class _Connection(duckdb_engine.ConnectionWrapper):
    def cursor(self) -> _Cursor:
        connection, cursors = _lent.get()
        cursor = cursors.enter_context(connection.cursor())
        cursor.execute("begin transaction read only")
        return _Cursor(cursor, self)

    def close(self) -> None:
        self.closed = True


class WarehouseDialect(duckdb_engine.Dialect):
    def connect(self, *args: Any, **kwargs: Any) -> Any:
        return _Connection(_lent.get()[0])

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        return pool.NullPool

    # Each cursor holds a transaction of its own; the pipeline's is not to be touched.
    def do_begin(self, connection: Any) -> None: ...
    def do_commit(self, connection: Any) -> None: ...
    def do_rollback(self, connection: Any) -> None: ...
