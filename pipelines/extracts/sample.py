"""A piece of a delivered file, in any format and with every column as text: for looks at it, not for loading.

The head is the first rows, cheap to read however long the file is: which columns are there, and what do they hold. The
sample reads a file whole up to a limit; of a longer one the beginning and blocks spread evenly over the rest. A file
that is damaged, or no table at all, gives what can be read of it: to refuse it is for whoever loads it.
"""

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts import database, parquet_file, stat_file
from pipelines.extracts.delivered import NDJSON_SUFFIXES, STAT_SUFFIXES, find, is_database, open_bytes, sql_text
from pipelines.warehouse import Connection

HEAD_ROWS = 1000
HEAD_BYTES = 1 << 20
WHOLE_BYTES = 8 << 20
BLOCK_BYTES = 1 << 20
BLOCKS_PER_BLOCK_READ = 32
LIMIT_BYTES = 4 << 30  # of text, packed or not
WHOLE_ROWS = 200_000
WHOLE_LINES = 50_000  # of JSON, each a record of many values


@dataclass(frozen=True)
class Head:
    """The first rows of a file.

    Attributes:
        where: Its path below the extract's folder.
        rows: Up to ``HEAD_ROWS`` rows; the columns as delivered.
        types: DuckDB types of the columns, where the format has types.
        is_json: It is JSON lines, so a column is a path to values, and one without a value is not there.
    """

    where: str
    rows: pl.DataFrame
    types: dict[str, str]
    is_json: bool = False


def heads(contract: Contract, folder: Path) -> list[Head]:
    """The first rows of each delivered file of a raw table.

    A file that cannot be read or has no header is left out: loading it says what is wrong.

    Args:
        folder: Folder of the extract, or a DuckDB database in its place.
    """
    with duckdb.connect() as connection:
        try:
            is_folder = not is_database(folder)
            found = find(contract, folder) if is_folder else database.find(connection, contract, folder)
        except ExtractError:
            return []
        return [head for where, path in found.items() if (head := _head(connection, contract, path, where))]


def _head(connection: Connection, contract: Contract, path: Path, where: str) -> Head | None:
    unreadable = (ExtractError, OSError, EOFError, UnicodeError, csv.Error, duckdb.Error, pl.exceptions.PolarsError)
    is_json = path.name.lower().endswith(NDJSON_SUFFIXES)
    try:
        rows, types = _piece(connection, contract, path, is_head=True)
    except unreadable:
        return None
    return Head(where, rows, types, is_json) if rows.width else None


def of(connection: Connection, contract: Contract, path: Path) -> pl.DataFrame:
    """Rows of a file as text, one column per delivered column, NULL where empty.

    Of JSON lines a column is a path to values, such as ``name.family``, and its cells are in no rows.

    Args:
        connection: Allowed to read the file's folder.
        contract: Contract of the table; it tells which table of a database is meant.
    """
    try:
        return _piece(connection, contract, path, is_head=False)[0]
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except duckdb.Error:
        return pl.DataFrame()


def path_of(name: str) -> str:
    """The path that a sample of JSON lines has for a field of a contract; places in lists are not told apart."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in name.split("/")[1:]] if name[:1] == "/" else [name]
    return ".".join(part for part in parts if not part.isdigit())


def _piece(
    connection: Connection, contract: Contract, path: Path, is_head: bool
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rows, and the types of their columns where the format has types."""
    name = path.name.lower()
    if is_database(path):
        with database.attached(connection, contract, path) as table:
            return _of_table(connection, table, is_head)
    if name.endswith(".parquet"):
        parquet_file.refuse_bomb(connection, path, path.name)
        return _of_table(connection, f"read_parquet({sql_text(str(path))}, hive_partitioning = false)", is_head)
    if name.endswith(STAT_SUFFIXES):
        columns = stat_file.columns_of(path, path.name)
        cells = HEAD_ROWS * len(columns) if is_head else stat_file.CHUNK_CELLS
        return next(stat_file.chunks(path, path.name, columns, cells)), {}
    text = _text(path, is_head)
    if name.removesuffix(".gz").endswith((".ndjson", ".jsonl", ".json")):
        return _of_json_lines(text), {}
    return (_first_records if is_head else _of_csv)(text), {}


def _of_table(connection: Connection, table: str, is_head: bool) -> tuple[pl.DataFrame, dict[str, str]]:
    """Some rows of what DuckDB knows as a table."""
    if is_head:
        piece = f"limit {HEAD_ROWS}"
    else:
        [[total]] = connection.execute(f"select count(*) from {table}").fetchall()
        share = 100 * WHOLE_ROWS / max(total, 1)
        piece = "" if share >= 100 else f"using sample {share:.6f} percent (system, 1)"
    types = {name: type_ for name, type_, *_ in connection.execute(f"describe from {table}").fetchall()}
    return connection.sql(f"select nullif(columns(*)::varchar, '') from {table} {piece}").pl(), types


def _first_records(text: bytes) -> pl.DataFrame:
    """The first records of a CSV that are as long as its header; nothing where that has a name twice."""
    records = filter(None, csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    header = [name.strip() for name in next(records, [])]
    if len(set(header)) < len(header):
        return pl.DataFrame()
    rows = [record for record in islice(records, HEAD_ROWS) if len(record) == len(header)]
    columns = {name: [row[place] or None for row in rows] for place, name in enumerate(header)}
    return pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String))


def _of_csv(text: bytes) -> pl.DataFrame:
    # With a quote amiss, the cells of a line are told by its commas alone.
    for quote in ('"', None):
        try:
            return pl.read_csv(
                io.BytesIO(text),
                infer_schema=False,
                encoding="utf8-lossy",
                truncate_ragged_lines=True,
                ignore_errors=True,
                quote_char=quote,
            )
        except (pl.exceptions.PolarsError, OSError):
            continue
    return pl.DataFrame()


def _of_json_lines(text: bytes) -> pl.DataFrame:
    values: dict[str, set[str]] = {}
    for line in islice(text.splitlines(), WHOLE_LINES):
        try:
            todo = [("", json.loads(line))]
        except (ValueError, RecursionError):
            continue
        while todo:
            place, found = todo.pop()
            if isinstance(found, dict):
                todo += [(f"{place}.{key}" if place else key, value) for key, value in found.items()]
            elif isinstance(found, list):
                todo += [(place, value) for value in found]
            elif found is not None:
                values.setdefault(place, set()).add(str(found))
    height = max(map(len, values.values()), default=0)
    return pl.DataFrame(
        {place: sorted(found) + [None] * (height - len(found)) for place, found in values.items()},
        schema=dict.fromkeys(values, pl.String),
    )


def _text(path: Path, is_head: bool) -> bytes:
    """The beginning of a file and, of more than its head, whole lines of blocks further on."""
    try:
        with open_bytes(path, path.name) as stream:
            parts = [stream.read(HEAD_BYTES if is_head else WHOLE_BYTES) + stream.readline(BLOCK_BYTES)]
            read_bytes = len(parts[0])
            while not is_head and read_bytes < LIMIT_BYTES:
                read_bytes += _skip(stream, (BLOCKS_PER_BLOCK_READ - 1) * BLOCK_BYTES)
                stream.readline(BLOCK_BYTES)  # the rest of a line
                block = stream.read(BLOCK_BYTES) + stream.readline(BLOCK_BYTES)
                if not block:
                    break
                if not parts[-1].endswith(b"\n"):
                    parts.append(b"\n")
                parts.append(block)
                read_bytes += len(block)
            return b"".join(parts)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b"".join(parts) if "parts" in locals() else b""
    except OSError as error:
        raise ExtractError(
            f"{path}: cannot be read ({error.strerror}). Give yourself the right to read it, or deliver it again."
        ) from None


def _skip(stream: io.BufferedIOBase, size_bytes: int) -> int:
    """Go on by so many bytes: by reading them where the stream is decompressed as it is read."""
    if stream.seekable():
        stream.seek(size_bytes, io.SEEK_CUR)
        return size_bytes
    return sum(len(stream.read(min(BLOCK_BYTES, size_bytes - at))) for at in range(0, size_bytes, BLOCK_BYTES))
