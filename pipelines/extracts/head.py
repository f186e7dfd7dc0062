"""The first rows of a delivered file, in any format: enough to see which columns it has and what they hold."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts import database, stat_file
from pipelines.extracts.delivered import STAT_SUFFIXES, find, is_database, open_bytes

HEAD_ROWS = 1000
HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Head:
    """The first rows of a file.

    Attributes:
        where: Its path below the extract's folder.
        rows: Up to ``HEAD_ROWS`` rows; the columns as delivered, all of them text.
        types: DuckDB types of the columns, where the format has types.
    """

    where: str
    rows: pl.DataFrame
    types: dict[str, str]


def heads(contract: Contract, folder: Path) -> list[Head]:
    """The first rows of each delivered file of a raw table.

    A file that cannot be read, has no header or has no columns (NDJSON) is left out: loading it says what is wrong.

    Args:
        folder: Folder of the extract, or a DuckDB database in its place.
    """
    with duckdb.connect() as connection:
        try:
            if is_database(folder):
                return [_typed(connection, where, rows) for where, rows in database.head(connection, contract, folder)]
            found = find(contract, folder)
        except ExtractError:
            return []
        return [head for where, path in found.items() if (head := _head(connection, path, where))]


def _head(connection: duckdb.DuckDBPyConnection, path: Path, where: str) -> Head | None:
    name = where.lower()
    try:
        if name.endswith(".parquet"):
            return _typed(connection, where, pl.scan_parquet(path, hive_partitioning=False).head(HEAD_ROWS).collect())
        if name.endswith(STAT_SUFFIXES):
            columns = stat_file.columns_of(path, where)
            return Head(where, next(stat_file.chunks(path, where, columns, HEAD_ROWS * len(columns))), {})
        if name.endswith((".csv", ".csv.gz")):
            return _csv(path, where)
    except (ExtractError, OSError, EOFError, UnicodeError, csv.Error, duckdb.Error, pl.exceptions.PolarsError):
        return None
    return None


def _typed(connection: duckdb.DuckDBPyConnection, where: str, rows: pl.DataFrame) -> Head:
    delivered = connection.from_arrow(rows.to_arrow())
    types = dict(zip(delivered.columns, map(str, delivered.types), strict=True))
    text = delivered.project("nullif(cast(columns(*) as varchar), '')").pl()
    return Head(where, text.rename(dict(zip(text.columns, rows.columns, strict=True))), types)


def _csv(path: Path, where: str) -> Head | None:
    with open_bytes(path, where) as stream:
        head = stream.read(HEAD_BYTES)
    is_whole = len(head) < HEAD_BYTES
    text = (head if is_whole else head[: head.rfind(b"\n") + 1]).decode("utf-8-sig")
    records = filter(None, csv.reader(io.StringIO(text, newline="")))
    header = [name.strip() for name in next(records, [])]
    if not header or len(set(header)) < len(header):
        return None
    rows = [record for _, record in zip(range(HEAD_ROWS), records, strict=False) if len(record) == len(header)]
    columns = {name: [row[place] or None for row in rows] for place, name in enumerate(header)}
    return Head(where, pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String)), {})
