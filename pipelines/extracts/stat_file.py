"""SAS, SPSS and Stata files.

A number is written as text in the digits it holds, a date or time as ISO 8601 has it, so that the rules of a contract
apply as they do to CSV. A missing value, of the system or of a user, is NULL. A code stays a code: its label is not
delivered data, and whoever labels it anew would change what a contract and a mapping mean.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.errors import ExtractError
from pipelines.extracts.delivered import DeliveredFile, Delivery, check_columns, most_bytes, text_columns, too_large
from pipelines.warehouse import count

CHUNK_CELLS = 4_000_000  # what is held at once
_CELL_BYTES = 60

_SAS_DATE = (
    "DATE|DAY|DDMMYY[BCDNPS]?|MMDDYY[BCDNPS]?|YYMMDD[BCDNPS]?|WEEKDATE|WEEKDATX|WORDDATE|WORDDATX|JULIAN|[BE]8601DA|"
    "IS8601DA"
)
_SAS_DATETIME = "DATETIME|DTDATE|DATEAMPM|MDYAMPM|[BE]8601D[TN]|IS8601D[TN]"
_SAS_TIME = "TIME|HHMM|TOD|TIMEAMPM|[BE]8601TM|IS8601TM"
# How a variable's display format tells what its numbers count: pattern, unit in milliseconds, whether of a time of
# day. Days and seconds are since 1960 (SAS, Stata) or the first day of the Gregorian calendar (SPSS).
_FORMATS = {
    "sas": (
        (rf"(?:{_SAS_DATE})[\d.]*", "date", 86_400_000),
        (rf"(?:{_SAS_DATETIME})[\d.]*", "datetime", 1000),
        (rf"(?:{_SAS_TIME})[\d.]*", "time", 1000),
    ),
    "spss": (
        (r"[AEJS]?DATE[\d.]*", "date", 1000),
        (r"(?:DATETIME|YMDHMS)[\d.]*", "datetime", 1000),
        (r"(?:TIME|DTIME|MTIME)[\d.]*", "time", 1000),
    ),
    "stata": (
        (r"%-?t?d.*", "date", 86_400_000),
        (r"%-?tc[Hh].*", "time", 1),
        (r"%-?tc.*", "datetime", 1),
    ),
}
_EPOCH_MS = {"sas": -315_619_200_000, "stata": -315_619_200_000, "spss": -12_219_379_200_000}
_PROGRAM = {
    ".sas7bdat": "sas", ".xpt": "sas", ".sav": "spss", ".zsav": "spss", ".por": "spss", ".dta": "stata",
}  # fmt: skip
_YEARS_MS = (-62_135_596_800_000, 253_402_300_800_000)  # years 1 to 9999
_WHOLE_BELOW = 2.0**53  # a double beyond tells no more each whole number


def read(file: DeliveredFile) -> Delivery:
    delivered = columns_of(file.path, file.where)
    columns = check_columns(file, delivered)
    selected = text_columns(file.contract, dict(zip(columns, delivered, strict=True)))
    declared = {column.delivered_as or column.name for column in file.contract.columns}
    wanted = [name for name, spelled in zip(delivered, columns, strict=True) if spelled in declared]
    statement = f"create temp table {file.table} as"
    for rows in chunks(file.path, file.where, wanted):
        file.connection.register("delivered_rows", rows)
        file.connection.execute(f"{statement} select {selected} from delivered_rows")
        file.connection.unregister("delivered_rows")
        statement = f"insert into {file.table}"
    return Delivery(file, columns, count(file.connection, file.table))


def columns_of(path: Path, where: str) -> list[str]:
    """The names of a file's columns.

    Raises:
        ExtractError: The file is damaged, or of another kind than its name says.
    """
    _, about = _parsed(path, where, metadataonly=True)
    return about.column_names


def chunks(path: Path, where: str, columns: list[str], chunk_cells: int = CHUNK_CELLS) -> Iterator[pl.DataFrame]:
    """Read named columns as text, some rows at a time; at least one frame, if without rows.

    Raises:
        ExtractError: The file is damaged, cut short or of another kind than its name says.
    """
    if path.suffix.lower() == ".xpt" and path.stat().st_size % 80:  # it does not tell how many rows it has
        raise ExtractError(f"{where}: is cut short. Deliver it again.")
    _, header = _parsed(path, where, metadataonly=True)
    # A text is as wide as its variable, and packed to next to nothing where it is short.
    widths = [header.variable_storage_width.get(name) or 8 for name in columns]
    limit = max(1, chunk_cells // max(1, sum(max(1, width // _CELL_BYTES) for width in widths)))
    most_rows = most_bytes(path) // max(1, sum(widths))
    offset = 0
    while True:
        if max(offset, header.number_rows or 0) > most_rows:
            raise too_large(where)
        rows, about = _parsed(path, where, usecols=columns, row_offset=offset, row_limit=limit)
        yield rows.select(_text(rows[name], about, _PROGRAM[path.suffix.lower()], where) for name in columns)
        offset += rows.height
        if rows.height < limit:
            return


def _parsed(path: Path, where: str, **options: Any) -> tuple[pl.DataFrame, Any]:
    import pyreadstat  # takes a moment

    readers: dict[str, Callable[..., Any]] = {
        ".sas7bdat": pyreadstat.read_sas7bdat,
        ".xpt": pyreadstat.read_xport,
        ".sav": pyreadstat.read_sav,
        ".zsav": pyreadstat.read_sav,
        ".por": pyreadstat.read_por,
        ".dta": pyreadstat.read_dta,
    }
    try:
        return readers[path.suffix.lower()](path, output_format="polars", disable_datetime_conversion=True, **options)
    except MemoryError:
        raise
    except Exception as error:  # damage shows as any kind of error
        if isinstance(error, UnicodeError) or "encoding" in str(error):
            raise ExtractError(f"{where}: has text that is not in the encoding it names. Save it as UTF-8.") from None
        raise ExtractError(f"{where}: is damaged, or is not {path.suffix.lower()}. Deliver it again.") from None


def _text(values: pl.Series, about: Any, program: str, where: str) -> pl.Series:
    """A column as text."""
    if not values.dtype.is_numeric():
        text = values.cast(pl.String)
        return text.set(text == "", None)
    display = about.original_variable_types.get(values.name) or ""
    if program == "stata" and re.match("%-?tC", display):
        raise ExtractError(f"{where}: column {values.name} counts leap seconds (%tC). Save it as %tc.")
    if about.readstat_variable_types.get(values.name) == "float":  # else 2.3 becomes 2.299999952316284
        values = values.cast(pl.Float32)
    numbers = _as_numbers(values)
    for pattern, kind, unit_ms in _FORMATS[program]:
        if re.fullmatch(pattern, display):
            epoch_ms = 0 if kind == "time" else _EPOCH_MS[program]
            moments = _as_moments(values.cast(pl.Float64), kind, unit_ms, epoch_ms)
            return moments.zip_with(moments.is_not_null(), numbers).alias(values.name)
    return numbers


def _as_numbers(values: pl.Series) -> pl.Series:
    """Numbers in the digits they hold: whole ones without a point."""
    frame = values.alias("value").to_frame()
    value = pl.col("value")
    if values.dtype.is_integer():
        return frame.select(value.cast(pl.String)).to_series().alias(values.name)
    is_whole = (value == value.round(0)) & (value.abs() < _WHOLE_BELOW)
    whole = pl.when(is_whole).then(value).cast(pl.Int64, strict=False).cast(pl.String)
    text = pl.when(value.is_nan() | value.is_null()).then(None).when(is_whole).then(whole)
    return frame.select(text.otherwise(value.cast(pl.String))).to_series().alias(values.name)


def _as_moments(values: pl.Series, kind: str, unit_ms: int, epoch_ms: int) -> pl.Series:
    """Days, days with a time, or times of day, to the millisecond; null where the number is none."""
    moment_ms = (pl.col("value") * unit_ms).round(0) + epoch_ms
    first, end = (0, 86_400_000) if kind == "time" else _YEARS_MS
    is_moment = (moment_ms >= first) & (moment_ms < end)
    moment = pl.when(is_moment).then(moment_ms).cast(pl.Int64, strict=False).cast(pl.Datetime("ms"))
    to_the_second = moment.dt.truncate("1s") == moment
    time = pl.when(to_the_second).then(moment.dt.strftime("%H:%M:%S")).otherwise(moment.dt.strftime("%H:%M:%S%.3f"))
    day = moment.dt.strftime("%Y-%m-%d").str.zfill(10)
    text = {
        "date": pl.when(moment.dt.truncate("1d") == moment).then(day).otherwise(day + " " + time),
        "datetime": day + " " + time,
        "time": time,
    }[kind]
    return values.alias("value").to_frame().select(text.alias("value")).to_series()
