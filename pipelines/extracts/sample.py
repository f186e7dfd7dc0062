"""A sample of a delivered file's rows, every column of it as text: for looks at what is delivered, not for loading.

A file is read whole up to a limit; of a longer one the beginning and blocks spread evenly over the rest. A file that
is damaged, or no table at all, gives what can be read of it: to refuse it is for whoever loads it.
"""

import gzip
import io
import zlib
from pathlib import Path

import duckdb
import polars as pl

from pipelines.errors import ExtractError
from pipelines.extracts.delivered import sql_text
from pipelines.warehouse import Connection

WHOLE_BYTES = 16 << 20
BLOCK_BYTES = 1 << 20
BLOCKS_PER_BLOCK_READ = 16
LIMIT_BYTES = 4 << 30  # of text, packed or not
WHOLE_ROWS = 200_000


def of(connection: Connection, path: Path) -> pl.DataFrame:
    """Rows of a file as text, one column per delivered column, NULL where empty.

    Args:
        connection: Allowed to read the file's folder.
    """
    if path.name.lower().endswith(".parquet"):
        return _of_parquet(connection, path)
    return _of_csv(path)


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
        return rows.rename(str.strip)
    return pl.DataFrame()


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
