"""A user's own table in one file: CSV, gzipped CSV, Parquet, SAS, SPSS or Stata in; CSV or Parquet out."""

import csv
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from pipelines.errors import ExtractError, WorkspaceError
from pipelines.extracts import stat_file
from pipelines.extracts.delivered import STAT_SUFFIXES, open_bytes

SUFFIXES = (".csv", ".csv.gz", ".parquet", *STAT_SUFFIXES)
WRITTEN_SUFFIXES = (".csv", ".parquet")

# A spreadsheet runs what starts so, and some skip white space and read wide letters first.
FORMULA = r"^[\s\x00]*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

csv.field_size_limit(2**31 - 1)  # a text may be long


def read(path: Path, columns: Iterable[str], optional: Iterable[str] = ()) -> pl.DataFrame:
    """Read named columns of a file.

    Args:
        path: CSV (UTF-8, header line), gzipped CSV, Parquet, or a file of SAS, SPSS or Stata; the suffix tells which.
        columns: Columns to read; others are left.
        optional: Columns to read where the file has them.

    Returns:
        One row per record, in the file's order. Columns of Parquet are text, numbers, days or days with a
        time, as it has them, all others are text; an empty cell is null.

    Raises:
        ExtractError: The file is missing, of another kind or not readable, two columns have one name, a row has more
            or fewer cells than the header, or a column is not in it or of another type.
    """
    if not path.is_file():
        raise ExtractError(f"{path}: there is no such file. Give the path of a CSV or Parquet file.")
    _refuse_unknown_suffix(path, SUFFIXES)
    try:
        rows = _rows(path)
    except pl.exceptions.NoDataError:
        raise ExtractError(f"{path}: is empty. Write a header line and rows.") from None
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        if "utf-8" in str(error).lower():
            raise ExtractError(f"{path}: is not UTF-8. Save it as UTF-8.") from None
        kind = "Parquet" if path.suffix == ".parquet" else "CSV with as many cells in each row as in its header"
        raise ExtractError(f"{path}: cannot be read. Write it again as {kind}.") from None
    wanted = list(columns)
    if missing := [column for column in wanted if column not in rows.columns]:
        raise ExtractError(f"{path}: has no column {', '.join(missing)}. Name it so in the header.")
    if path.name.endswith((".csv", ".csv.gz")):
        _refuse_unlike_header(path, rows)
    rows = rows.select(*wanted, *(column for column in optional if column in rows.columns))
    return rows.with_columns(_plain(path, column) for column in rows)


def _rows(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix in STAT_SUFFIXES:
        where = str(path)
        return pl.concat(stat_file.chunks(path, where, stat_file.columns_of(path, where)))
    if path.suffix == ".gz":
        with open_bytes(path, str(path)) as stream:
            return pl.read_csv(stream.read(), infer_schema=False)
    return pl.read_csv(path, infer_schema=False)


def require_writable(out: Path, *others: Path) -> None:
    """Refuse an output before anything runs, rather than when all is done.

    Args:
        out: File to write.
        others: Files that are read, or written too.

    Raises:
        WorkspaceError: There is no such folder, or it cannot be written to.
        ExtractError: It is one of the others, or neither CSV nor Parquet by its suffix.
    """
    _refuse_unknown_suffix(out, WRITTEN_SUFFIXES)
    if any(out.resolve() == other.resolve() for other in others):
        raise ExtractError(f"{out}: is the file to read, or written twice. Write to another one.")
    if out.is_dir() or not (out.parent.is_dir() and os.access(out.parent, os.W_OK | os.X_OK)):
        raise _unwritable(out)


def write(rows: pl.DataFrame, path: Path) -> None:
    """Write a file, CSV or Parquet by its suffix; it is there whole or not at all.

    A text that a spreadsheet would run as a formula gets an apostrophe before it in a CSV; numbers are left alone.

    Raises:
        WorkspaceError: The file cannot be written.
        ExtractError: The suffix is neither.
    """
    _refuse_unknown_suffix(path, WRITTEN_SUFFIXES)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        rows.write_parquet(unfinished) if path.suffix == ".parquet" else without_formulas(rows).write_csv(unfinished)
        unfinished.replace(path)
    except (OSError, pl.exceptions.PolarsError):
        with suppress(OSError):
            unfinished.unlink()
        raise _unwritable(path) from None


def without_formulas(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows for a CSV: texts and column names that a spreadsheet would run start with an apostrophe.

    Source: OWASP, CSV Injection. A text that is a number, such as -5, is none. One that has an apostrophe before a
    formula already gets one more, so that ``with_formulas`` gives every text back as it was.
    """

    def plain(text: pl.Expr) -> pl.Expr:
        return pl.when(_is_formula(text)).then(pl.lit("'") + text).otherwise(text)

    texts = [name for name, type_ in rows.schema.items() if type_ in (pl.String, pl.Categorical, pl.Enum)]
    header = pl.DataFrame({"name": rows.columns}, schema={"name": pl.String})
    plain_header = header.select(plain(pl.col("name")).alias("plain"))["plain"]
    return rows.with_columns(plain(pl.col(name).cast(pl.String)).alias(name) for name in texts).rename(
        dict(zip(rows.columns, plain_header, strict=True))
    )


def with_formulas(text: pl.Expr) -> pl.Expr:
    """A text of a CSV as it was before ``without_formulas``."""
    is_plain = text.str.starts_with("'") & _is_formula(text.str.slice(1))
    return pl.when(is_plain).then(text.str.slice(1)).otherwise(text)


def _is_formula(text: pl.Expr) -> pl.Expr:
    """Whether a text is a formula, perhaps behind apostrophes."""
    return text.str.strip_chars_start("'").str.contains(FORMULA) & ~text.str.contains(NUMBER)


def _unwritable(path: Path) -> WorkspaceError:
    return WorkspaceError(f"{path}: cannot be written. Choose a file in a folder that you can write to.")


def _plain(path: Path, column: pl.Series) -> pl.Series:
    """Text of any encoding as text; what is no text, number or day is refused."""
    type_ = column.dtype
    if type_ in (pl.Categorical, pl.Enum, pl.Binary):
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            raise ExtractError(f"{path}: column {column.name} is not UTF-8. Save it as UTF-8.") from None
    if not (type_.is_numeric() or type_ in (pl.String, pl.Null, pl.Date, pl.Datetime)):
        raise ExtractError(
            f"{path}: column {column.name} holds neither numbers nor text. Write it as one of them, or as dates."
        )
    return column


def _refuse_unlike_header(path: Path, rows: pl.DataFrame) -> None:
    """Refuse what polars mends silently: it renames columns of one name and fills short rows up."""
    with _cells(path) as lines:
        header = [name for name in next(lines) if name]
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise ExtractError(f"{path}: has several columns {', '.join(twice)}. Name each once in the header.")
        if rows[:, -1].null_count() == 0:  # a row that is too short ends in an empty cell
            return
        short = (number for number, cells in enumerate(lines, 1) if 0 < len(cells) < rows.width)
        if number := next(short, None):
            raise ExtractError(
                f"{path}: row {number} has fewer cells than the header. Write as many in each row, empty ones too."
            )


@contextmanager
def _cells(path: Path) -> Iterator[Iterator[list[str]]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield csv.reader(file)


def _refuse_unknown_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if not path.name.endswith(suffixes):
        raise ExtractError(f"{path}: is neither CSV nor Parquet by its name. End it in {' or '.join(suffixes)}.")
