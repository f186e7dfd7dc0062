"""A user's own table in one file: CSV, gzipped CSV or Parquet, in and out."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import polars as pl

from pipelines.errors import ExtractError, WorkspaceError

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read(path: Path, columns: Iterable[str], optional: Iterable[str] = ()) -> pl.DataFrame:
    """Read named columns of a file.

    Args:
        path: CSV (UTF-8, header line), gzipped CSV or Parquet; the suffix tells which.
        columns: Columns to read; others are left.
        optional: Columns to read where the file has them.

    Returns:
        One row per record, in the file's order. All columns of a CSV are text, those of Parquet have its types; an
        empty cell is null.

    Raises:
        ExtractError: The file is missing, of another kind or not readable, or a column is not in it.
    """
    if not path.is_file():
        raise ExtractError(f"{path}: there is no such file. Give the path of a CSV or Parquet file.")
    _refuse_unknown_suffix(path, SUFFIXES)
    try:
        rows = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise ExtractError(f"{path}: is empty. Write a header line and rows.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if "utf-8" in str(error).lower():
            raise ExtractError(f"{path}: is not UTF-8. Save it as UTF-8.") from None
        kind = "Parquet" if path.suffix == ".parquet" else "CSV with as many cells in each row as in its header"
        raise ExtractError(f"{path}: cannot be read. Write it again as {kind}.") from None
    wanted = list(columns)
    if missing := [column for column in wanted if column not in rows.columns]:
        raise ExtractError(f"{path}: has no column {', '.join(missing)}. Name it so in the header.")
    return rows.select(*wanted, *(column for column in optional if column in rows.columns))


def write(rows: pl.DataFrame, path: Path) -> None:
    """Write a file, CSV or Parquet by its suffix; it is there whole or not at all.

    Raises:
        WorkspaceError: The file cannot be written.
        ExtractError: The suffix is neither.
    """
    _refuse_unknown_suffix(path, (".csv", ".parquet"))
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        rows.write_parquet(unfinished) if path.suffix == ".parquet" else rows.write_csv(unfinished)
        unfinished.replace(path)
    except (OSError, pl.exceptions.PolarsError):
        with suppress(OSError):
            unfinished.unlink()
        raise WorkspaceError(f"{path}: cannot be written. Choose a file in a folder that you can write to.") from None


def _refuse_unknown_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if not path.name.endswith(suffixes):
        raise ExtractError(f"{path}: is neither CSV nor Parquet by its name. End it in {' or '.join(suffixes)}.")
