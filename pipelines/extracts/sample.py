"""A sample of a delivered file's rows, every column of it as text: for looks at what is delivered, not for loading.

A file is read whole up to a limit; of a longer one the beginning and blocks spread evenly over the rest. A file that
is damaged, or no table at all, gives what can be read of it: to refuse it is for whoever loads it.
"""

import gzip
import io
import json
import zlib
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl

from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts import database, stat_file
from pipelines.extracts.delivered import STAT_SUFFIXES, is_database, sql_text
from pipelines.warehouse import Connection

WHOLE_BYTES = 8 << 20
BLOCK_BYTES = 1 << 20
BLOCKS_PER_BLOCK_READ = 32
LIMIT_BYTES = 4 << 30  # of text, packed or not
WHOLE_ROWS = 200_000
WHOLE_LINES = 50_000  # of JSON, each a record of many values


def of(connection: Connection, contract: Contract, path: Path) -> pl.DataFrame:
    """Rows of a file as text, one column per delivered column, NULL where empty.

    Of JSON lines a column is a path to values, such as ``name.family``, and its cells are in no rows.

    Args:
        connection: Allowed to read the file's folder.
        contract: Contract of the table; it tells which table of a database is meant.
    """
    name = path.name.lower()
    if is_database(path):
        rows = database.sample(connection, contract, path, WHOLE_ROWS)
    elif name.endswith(STAT_SUFFIXES):
        rows = next(stat_file.chunks(path, path.name, stat_file.columns_of(path, path.name)))
    elif name.endswith(".parquet"):
        rows = _of_parquet(connection, path)
    elif name.removesuffix(".gz").endswith((".ndjson", ".jsonl", ".json")):
        rows = _of_json_lines(path)
    else:
        rows = _of_csv(path)
    return rows


def _of_parquet(connection: Connection, path: Path) -> pl.DataFrame:
    rows = f"read_parquet({sql_text(str(path))}, hive_partitioning = false)"
    try:
        [[total]] = connection.execute(f"select count(*) from {rows}").fetchall()
        share = 100 * WHOLE_ROWS / max(total, 1)
        sample = "" if share >= 100 else f"using sample {share:.6f} percent (system, 1)"
        return connection.sql(f"select nullif(columns(*)::varchar, '') from {rows} {sample}").pl()
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except duckdb.Error:
        return pl.DataFrame()


def _of_csv(path: Path) -> pl.DataFrame:
    text = _text(path)
    # With a quote amiss, the cells of a line are told by its commas alone.
    for quote in ('"', None):
        try:
            rows = pl.read_csv(
                io.BytesIO(text),
                infer_schema=False,
                encoding="utf8-lossy",
                truncate_ragged_lines=True,
                ignore_errors=True,
                quote_char=quote,
            )
        except (pl.exceptions.PolarsError, OSError):
            continue
        return rows
    return pl.DataFrame()


def _of_json_lines(path: Path) -> pl.DataFrame:
    values: dict[str, set[str]] = {}
    for line in islice(_text(path).splitlines(), WHOLE_LINES):
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
    columns = [pl.Series(place, sorted(found), dtype=pl.String) for place, found in values.items()]
    return pl.concat([column.to_frame() for column in columns], how="horizontal") if columns else pl.DataFrame()


def _text(path: Path) -> bytes:
    """The beginning of a file, and whole lines of blocks further on."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            parts = [stream.read(WHOLE_BYTES) + stream.readline(BLOCK_BYTES)]
            read_bytes = len(parts[0])
            while read_bytes < LIMIT_BYTES:
                place = stream.seek((BLOCKS_PER_BLOCK_READ - 1) * BLOCK_BYTES, io.SEEK_CUR)
                stream.readline(BLOCK_BYTES)  # the rest of a line
                block = stream.read(BLOCK_BYTES) + stream.readline(BLOCK_BYTES)
                if not block:
                    break
                if not parts[-1].endswith(b"\n"):
                    parts.append(b"\n")
                parts.append(block)
                read_bytes = place + len(block)
            return b"".join(parts)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b"".join(parts) if "parts" in locals() else b""
    except OSError as error:
        raise ExtractError(
            f"{path}: cannot be read ({error.strerror}). Give yourself the right to read it, or deliver it again."
        ) from None
