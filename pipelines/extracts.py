"""Reading delivered extracts into the raw tables.

Every column is read as text and cast by its contract, so that a value that does not fit sends its row to
quarantine instead of stopping the run. DuckDB reads a CSV file by itself where every line is one record as
RFC 4180 writes it. Other files are split line by line here first: DuckDB takes a surplus empty field for none
and an open quote for a field that holds the rows below it, and either loses what was delivered.
"""

import codecs
import csv
import gzip
import hashlib
import io
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import duckdb
import numpy as np

from pipelines import contracts, paths
from pipelines.contracts import Column, Contract
from pipelines.errors import ContractError, ExtractError, LedgerError
from pipelines.warehouse import Connection, count, create, create_if_missing

SUFFIXES = (".csv.gz", ".csv", ".parquet")

_WIDE_MARKS = {  # the little-endian mark of UTF-32 starts with that of UTF-16, so it comes first
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

_WHOLE = r"\s*[+-]?\d+(\.0*)?\s*"
_DAY = r"\d{4}-\d{2}-\d{2}"
# How the text of each type must look before DuckDB casts it. Its casts alone round 3.7, read 5_10 as 510 and
# 'infinity' as a date, and drop the time of day of a DATE and the time zone of a TIMESTAMP.
PATTERNS = {
    "VARCHAR": None,
    "BOOLEAN": r"(?i)\s*(true|false|t|f|1|0)\s*",
    "INTEGER": _WHOLE,
    "BIGINT": _WHOLE,
    "DOUBLE": r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*",
    "DATE": rf"\s*{_DAY}([ T]00:00:00(\.0+)?)?\s*",
    "TIMESTAMP": rf"\s*{_DAY}([ T]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d{{1,9}})?)?)?\s*",
}

BLOCK_BYTES = 1 << 20
LINE_LIMIT_BYTES = 1 << 21  # DuckDB's own limit, raised where a record is longer
RECORD_LIMIT_LINES = 100  # beyond this an open quote is a slip, not a field of several lines

# A field as RFC 4180 writes it; and as it is understood too: blanks around its quotes, quotes in plain text.
_QUOTED = rb'"(?:[^"]++|"")*+"'
_STANDARD_FIELD = rb'(?:%s|[^",]*+)' % _QUOTED
_FIELD = rb'(?: *+%s *+|(?! *+")[^,]*+)' % _QUOTED
_FIELDS = re.compile(rb"(?:\A|,)(%s)" % _FIELD)
_RECORD_OF_ANY_WIDTH = re.compile(rb"%s(?:,%s)*+" % (_FIELD, _FIELD))
_BLANK_LINES = re.compile(rb"^\r?\n", re.MULTILINE)
_OPEN_RECORD = re.compile(rb'(?:%s,)*+ *+"(?:[^"]++|"")*+' % _FIELD)


@dataclass(frozen=True)
class Loaded:
    """What became of the delivered rows of one table.

    Attributes:
        delivered_rows: Records after the headers; each is loaded or in quarantine.
        files: The files, by their path below the extract's folder.
    """

    delivered_rows: int
    loaded_rows: int
    quarantined_rows: int
    files: tuple[str, ...]


def load(connection: Connection, contract: Contract, source: str, folder: Path) -> Loaded:
    """Load the delivered files of one raw table, replacing what was there.

    A row that does not fit the contract goes to raw.quarantine under the first rule it breaks: ``type``,
    ``required``, ``range``, ``value``, ``duplicate_row``, ``duplicate_key`` (the first delivered row of a key
    stays). A line that is no record goes there as ``ragged_row``, ``unclosed_quote``, ``stray_quote`` or
    ``nul_byte``. raw.delivery gets one row per file. Either all of this happens or nothing.

    Args:
        connection: Warehouse, allowed to read the folder and not in a transaction.
        contract: Contract of a raw table; its ``files`` are a glob below the folder.
        source: Source that delivered the extract.
        folder: Folder of the extract.

    Raises:
        ExtractError: A file is missing, or cannot be the extract. Whether too many rows are in quarantine is
            for the caller to judge.
        ContractError: The contract names no files, or a type that is not read from files.
        LedgerError: The delivered rows are not the loaded and the quarantined ones.
        ValueError: The connection does not keep the order of rows, so that they cannot be numbered.
    """
    [[is_order_kept]] = connection.execute("select current_setting('preserve_insertion_order')").fetchall()
    if not is_order_kept:
        raise ValueError("preserve_insertion_order is off, but a row's number is its place in the table")
    for column in contract.columns:
        if column.type not in PATTERNS:
            raise ContractError(
                f"{contract.table}: column {column.name} is {column.type}, which is not read from files. "
                f"Use one of {', '.join(PATTERNS)}."
            )
    files = _find(contract, folder)
    with connection.cursor() as work:  # its temporary tables and its transaction end with it
        work.execute(
            "create temp table rejected "
            "(source_file varchar, source_row bigint, rule varchar, column_name varchar, record varchar)"
        )
        deliveries = [
            _read(_File(work, contract, path, where, f"file_{number}"))
            for number, (where, path) in enumerate(files.items())
        ]
        columns = ", ".join(_name(name) for name in contract.column_names)
        parts = [
            f"select {_text(delivery.file.where)} as source_file, {delivery.row_number} as source_row, "
            f"{columns} from {delivery.file.table}"
            for delivery in deliveries
        ]
        work.execute(f"create temp view delivered as {' union all '.join(parts)}")
        _reject_unfit(work, contract)
        if contract.key:
            _reject_repeated(work, contract)
        return _publish(work, contract, source, deliveries)


@dataclass(frozen=True)
class _File:
    """A file to read.

    Attributes:
        where: Its path below the extract's folder.
        table: Temporary table for its records: the declared columns as text, NULL where empty.
    """

    connection: Connection
    contract: Contract
    path: Path
    where: str
    table: str


@dataclass(frozen=True)
class _Delivery:
    """A file that was read.

    Attributes:
        columns: Columns as delivered.
        rows: Records after the header, and lines that are none.
        row_number: SQL for a record's number in the file's table; 1 is the first after the header.
    """

    file: _File
    columns: list[str]
    rows: int
    row_number: str = "rowid + 1"


def _find(contract: Contract, folder: Path) -> dict[str, Path]:
    """The delivered files by their path below the folder, sorted by it."""
    if contract.files is None:
        raise ContractError(f"{contract.table}: names no files. Add a glob below the extract's folder.")
    require_folder(folder)
    found = sorted(
        (path.relative_to(folder).as_posix(), path) for path in folder.glob(contract.files) if path.is_file()
    )
    if not found:
        raise ExtractError(f"{contract.files}: no such file in {folder}. Deliver it, or correct the folder.")
    stems: dict[str, str] = {}
    for where, path in found:
        suffix = next((suffix for suffix in SUFFIXES if where.lower().endswith(suffix)), None)
        if suffix is None:
            raise ExtractError(f"{where}: is none of {', '.join(SUFFIXES)}. Move it out of the extract.")
        if set("*?[") & set(str(path)):  # DuckDB would read every file that the name matches
            raise ExtractError(f"{path}: has *, ? or [ in its path. Rename the file or the folder.")
        twin = stems.setdefault(where[: -len(suffix)], where)
        if twin != where:
            raise ExtractError(f"{where}: is delivered as {twin} too. Keep one of them.")
    return dict(found)


def require_folder(folder: Path) -> None:
    """Refuse a folder that is not there, or of which some part cannot be listed: that would pass for an empty one.

    Raises:
        ExtractError: Says which.
    """
    place = folder
    try:
        for place in (folder, *folder.rglob("*/")):
            os.listdir(f"{place}/.")  # the dot takes the right to enter, too
    except (FileNotFoundError, NotADirectoryError):
        raise ExtractError(f"{folder}: is not a folder. Deliver it, or correct the folder in the study.") from None
    except OSError as error:
        raise ExtractError(f"{place}: cannot be read ({error.strerror}). Give yourself the right to read it.") from None


def _read(file: _File) -> _Delivery:
    try:
        with file.path.open("rb") as stream:
            is_empty = not stream.read(1)
    except OSError as error:
        raise ExtractError(
            f"{file.where}: cannot be read ({error.strerror}). Give yourself the right to read it, or deliver it again."
        ) from None
    if is_empty:
        raise ExtractError(f"{file.where}: is empty. Deliver it again.")
    return _read_parquet(file) if file.where.lower().endswith(".parquet") else _read_csv(file)


def _read_parquet(file: _File) -> _Delivery:
    rows = f"read_parquet({_text(str(file.path))}, hive_partitioning = false)"
    try:
        delivered = [name for name, *_ in file.connection.execute(f"describe from {rows}").fetchall()]
        _check_columns(file, delivered)
        columns = ", ".join(
            f"nullif(cast({_name(_delivered_as(column))} as varchar), '') as {_name(column.name)}"
            for column in file.contract.columns
        )
        file.connection.execute(f"create temp table {file.table} as select {columns} from {rows}")
    except (duckdb.OutOfMemoryException, duckdb.PermissionException):
        raise
    except duckdb.Error:  # damage shows as any kind of error
        raise ExtractError(f"{file.where}: is damaged, or is not Parquet. Deliver it again.") from None
    return _Delivery(file, delivered, count(file.connection, file.table))


def _read_csv(file: _File) -> _Delivery:
    text = _scan(file)
    delivered = _header(file, text.header)
    _check_columns(file, delivered)
    # DuckDB refuses a record that lacks a field, or whose surplus field has text. So where there are just enough
    # separators for all records, each has its own. And where records are as many as lines, none holds another.
    if text.is_standard and text.separators == (len(delivered) - 1) * text.filled_lines:
        try:
            rows = _read_records(file, file.path, delivered)
        except duckdb.InvalidInputException:
            rows = None
        if rows == text.filled_lines - 1:
            return _Delivery(file, delivered, rows)
    return _read_by_line(file, text, delivered)


def _read_records(file: _File, path: Path, delivered: list[str], line_limit_bytes: int | None = None) -> int:
    """Read the declared columns, by the place the header gives them, and count the records.

    Args:
        path: The file as delivered, or the records it was split into.
        line_limit_bytes: Given with split records, which have a number each but no header.
    """
    places = [f"c{place}" for place in range(len(delivered))]
    columns = [f"c{delivered.index(_delivered_as(column))} as {_name(column.name)}" for column in file.contract.columns]
    if line_limit_bytes is None:
        rows = _csv(path, places, "skip = 1")
    else:
        rows = _csv(path, ["source_row", *places], _split_options(line_limit_bytes))
        columns.append("source_row")
    file.connection.execute(f"create or replace temp table {file.table} as select {', '.join(columns)} from {rows}")
    return count(file.connection, file.table)


def _csv(path: Path, columns: list[str], options: str) -> str:
    """SQL that reads a CSV file as text and leaves DuckDB nothing to guess but how its lines end."""
    types = ", ".join(f"{name}: '{'BIGINT' if name == 'source_row' else 'VARCHAR'}'" for name in columns)
    compression = "gzip" if _is_gzip(path) else "none"
    return (
        f"read_csv({_text(str(path))}, columns = {{{types}}}, compression = '{compression}', {options}, "
        "delim = ',', quote = '\"', escape = '\"', comment = '', nullstr = '', header = false, "
        "auto_detect = false, strict_mode = true, null_padding = false, ignore_errors = false, "
        "hive_partitioning = false)"
    )


def _split_options(line_limit_bytes: int) -> str:
    """How split records are read: a carriage return inside quotes must not be taken for the end of lines."""
    return f"new_line = '\\n', max_line_size = {max(line_limit_bytes, LINE_LIMIT_BYTES)}"


# --- CSV: one look at every byte before a file is read ---


@dataclass(frozen=True)
class _Text:
    """What one pass over a CSV file tells.

    Attributes:
        header: First line that is not blank.
        filled_lines: Lines that are not blank, the header among them.
        separators: Commas outside quotes.
        is_standard: Quotes and carriage returns stand only where RFC 4180 puts them, and there is no NUL byte.
    """

    header: bytes
    lines: int
    filled_lines: int
    size_bytes: int
    separators: int
    is_standard: bool


def _scan(file: _File) -> _Text:
    """Check compression and encoding, count lines and separators."""
    header = b""
    lines = blank_lines = size_bytes = separators = 0
    is_standard = True
    try:
        with _open(file.path) as stream:
            # A block ends where a line ends, so that it can be judged by itself.
            while block := stream.read(BLOCK_BYTES) + stream.readline():
                _check_encoding(file, block, lines)
                size_bytes += len(block)
                lines += block.count(b"\n") + (not block.endswith(b"\n"))
                if not header:
                    block = block.removeprefix(codecs.BOM_UTF8)
                    header = next(filter(None, map(_content, block.split(b"\n"))), b"")
                if block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block:
                    blank_lines += len(_BLANK_LINES.findall(block))
                quoted, is_block_standard = _quoted_commas(block) if b'"' in block else (0, True)
                separators += block.count(b",") - quoted
                is_standard = is_standard and is_block_standard and not _has_control(block)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ExtractError(f"{file.where}: is cut short or damaged gzip. Deliver it again.") from None
    if not size_bytes:
        raise ExtractError(f"{file.where}: is empty. Deliver it again.")
    return _Text(header, lines, lines - blank_lines, size_bytes, separators, is_standard)


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if _is_gzip(path) else path.open("rb")


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _content(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _check_encoding(file: _File, block: bytes, lines_before: int) -> None:
    advice = "Convert it with iconv -f {} -t UTF-8, or save it as UTF-8."
    if not lines_before:
        for mark, encoding in _WIDE_MARKS.items():
            if block.startswith(mark):
                raise ExtractError(f"{file.where}: is {encoding}, not UTF-8. {advice.format(encoding)}")
        if b"\0" in block.partition(b"\n")[0]:
            raise ExtractError(f"{file.where}: has NUL bytes in its header, as UTF-16 has. {advice.format('UTF-16LE')}")
    if block.isascii():
        return
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = lines_before + block.count(b"\n", 0, error.start) + 1
        raise ExtractError(
            f"{file.where}: line {line} is not UTF-8, but perhaps Windows-1252 or Latin-1. "
            f"{advice.format('WINDOWS-1252')}"
        ) from None


def _quoted_commas(block: bytes) -> tuple[int, bool]:
    """Commas inside quotes, and whether every quote stands where RFC 4180 puts it."""
    text = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    if len(quotes) % 2:
        return 0, False
    # A doubled quote closes its field and opens it again at once, which changes neither answer.
    opening, closing = quotes[::2], quotes[1::2]
    is_standard = np.isin(text[opening - 1], list(b',\n"')).all() and np.isin(text[closing + 1], list(b',\r\n"')).all()
    commas = np.flatnonzero(text == ord(","))
    quoted = np.searchsorted(commas, closing) - np.searchsorted(commas, opening)
    return int(quoted.sum()), bool(is_standard)


def _has_control(block: bytes) -> bool:
    """Whether there is a NUL byte, or a carriage return that does not end a line: DuckDB drops either."""
    return b"\0" in block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n"))


def _header(file: _File, line: bytes) -> list[str]:
    if not line:
        raise ExtractError(f"{file.where}: has no header. Deliver it with the column names in its first line.")
    if b"\r" in line:
        raise ExtractError(f"{file.where}: ends its lines with carriage returns alone. Save it with LF or CRLF.")
    try:
        [names] = csv.reader([line.decode()], strict=True)
    except csv.Error:
        raise ExtractError(f"{file.where}: has a header with a quote amiss. Mend its first line.") from None
    return [name.strip() for name in names]


def _check_columns(file: _File, delivered: list[str]) -> None:
    declared = [_delivered_as(column) for column in file.contract.columns]
    missing = [name for name in declared if name not in delivered]
    if missing == declared:
        raise ExtractError(
            f"{file.where}: has no header, or its columns are not separated by commas: its first line names "
            f"none of {', '.join(declared)}. Deliver it with a header and commas."
        )
    if missing:
        raise ExtractError(
            f"{file.where}: has no column {', '.join(missing)}. "
            f"Deliver it, or correct the contract of {file.contract.table}."
        )
    repeated = sorted({name or "(no name)" for name in delivered if delivered.count(name) > 1})
    if repeated:
        raise ExtractError(f"{file.where}: has column {', '.join(repeated)} twice. Deliver each column once.")


# --- CSV: splitting line by line ---


def _read_by_line(file: _File, text: _Text, delivered: list[str]) -> _Delivery:
    """Split a file into records here, and reject the lines that are none."""
    # DuckDB's own folder for what does not fit in memory is one that a locked-down warehouse may read.
    [[folder]] = file.connection.execute("select current_setting('temp_directory')").fetchall()
    spill = folder if Path(folder).is_dir() else None
    # Temporary files are readable by this user alone, and gone at the end.
    with NamedTemporaryFile(dir=spill) as records, NamedTemporaryFile(dir=spill) as rejects:
        with _open(file.path) as stream:
            split = _split(stream, len(delivered), records, rejects)
        if (split.lines, split.size_bytes) != (text.lines, text.size_bytes):
            raise LedgerError(
                f"{file.where}: has {text.lines} lines, but {split.lines} came out of splitting it. "
                "Run again if the file was being written, else report this."
            )
        records.flush()
        rejects.flush()
        unfit = _csv(Path(rejects.name), ["source_row", "rule", "record"], _split_options(split.longest_bytes))
        try:
            read = _read_records(file, Path(records.name), delivered, split.longest_bytes)
            [[rejected]] = file.connection.execute(
                f"insert into rejected select $file, source_row, rule, null, record from {unfit}",
                {"file": file.where},
            ).fetchall()
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            raise ExtractError(f"{file.where}: cannot be split into records. Deliver standard CSV.") from None
    if (read, rejected) != (split.records, split.rejects):
        raise LedgerError(
            f"{file.where}: was split into {split.records} records and {split.rejects} other lines, but "
            f"{read} and {rejected} were read. Report this."
        )
    return _Delivery(file, delivered, read + rejected, row_number="source_row")


@dataclass(frozen=True)
class _Split:
    """What splitting a file came to."""

    records: int
    rejects: int
    lines: int
    size_bytes: int
    longest_bytes: int


def _split(stream: Iterable[bytes], width: int, records: IO[bytes], rejects: IO[bytes]) -> _Split:
    """Write the records below the header, and apart from them the lines that are none, all numbered."""
    row = reject_count = line_count = size_bytes = longest_bytes = 0
    is_header = True
    for rule, text, lines, size in _records(stream, width):
        line_count += lines
        size_bytes += size
        if not text:
            continue
        if is_header:
            is_header = False
            continue
        row += 1
        if rule is None:
            written = records.write(b"%d,%s\n" % (row, text))
        else:
            reject_count += 1
            written = rejects.write(b'%d,%s,"%s"\n' % (row, rule.encode(), text.replace(b'"', b'""')))
        if written > longest_bytes:
            longest_bytes = written
    return _Split(row - reject_count, reject_count, line_count, size_bytes, longest_bytes)


def _records(stream: Iterable[bytes], width: int) -> Iterator[tuple[str | None, bytes, int, int]]:
    """Divide lines into records: the rule broken, the text (empty for a blank line), its lines and bytes.

    The text of a record is written as RFC 4180 has it; that of a line that is none is as delivered. A line whose
    quote stays open is joined with those below it if that makes a record, unless one of those is a record by
    itself: then the quote is a slip, and joining would swallow what was delivered.
    """
    lines = iter(stream)
    ahead: deque[bytes] = deque()  # lines below, read to see whether they close a quote
    separators = width - 1
    is_record = _record_of(_FIELD, width)
    is_standard = _record_of(_STANDARD_FIELD, width)

    def lines_to_join(text: bytes) -> int:
        for depth in range(1, RECORD_LIMIT_LINES):
            if len(ahead) < depth:
                ahead.append(next(lines, b""))
            below = ahead[depth - 1]
            content = _content(below)
            if not below or b"\0" in below or (content and is_standard(content)):
                return 0
            text += below
            if b'"' in below and is_record(_content(text)):
                return depth
            if not _OPEN_RECORD.fullmatch(text):
                return 0
        return 0

    while line := ahead.popleft() if ahead else next(lines, b""):
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        rule = None
        joined = 0
        if b"\0" in text:
            rule = "nul_byte"
        elif b'"' not in text:
            if text.count(b",") != separators and text:
                rule = "ragged_row"
            elif b"\r" in text:
                text = _as_standard(text)
        elif is_standard(text) and b"\r" not in text:
            pass
        elif is_record(text):
            text = _as_standard(text)
        elif not _OPEN_RECORD.fullmatch(text):
            rule = "ragged_row" if _RECORD_OF_ANY_WIDTH.fullmatch(text) else "stray_quote"
        elif joined := lines_to_join(line):
            line += b"".join(ahead.popleft() for _ in range(joined))
            text = _as_standard(_content(line))
        else:
            rule = "unclosed_quote"
        yield rule, text, joined + 1, len(line)


def _record_of(field: bytes, width: int) -> Callable[[bytes], object]:
    return re.compile(rb"%s(?:,%s){%d}" % (field, field, width - 1)).fullmatch


def _as_standard(record: bytes) -> bytes:
    """Write a record as RFC 4180 does: no blanks around quotes; quotes and carriage returns quoted."""
    fields = []
    for field in _FIELDS.findall(record):
        bare = field.strip(b" ")
        if bare.startswith(b'"'):
            fields.append(bare)
        elif b'"' in field or b"\r" in field:
            fields.append(b'"' + field.replace(b'"', b'""') + b'"')
        else:
            fields.append(field)
    return b",".join(fields)


# --- From text to typed rows and quarantine ---


def _reject_unfit(connection: Connection, contract: Contract) -> None:
    """Reject the rows with a value that does not fit its column, under the first rule broken."""
    faults = " ".join(
        f"when {condition} then {{rule: {_text(rule)}, column_name: {_text(column)}}}"
        for condition, rule, column in _row_rules(contract)
    )
    if faults:
        connection.execute(
            f"""insert into rejected
            select source_file, source_row, fault.rule, fault.column_name, {_record(contract)}
            from (select *, case {faults} end as fault from delivered)
            where fault is not null"""
        )


def _row_rules(contract: Contract) -> list[tuple[str, str, str]]:
    """What a row must not be, in the order that decides: SQL, rule, column."""
    types, required, ranges, values = [], [], [], []
    for column in contract.columns:
        text, typed, pattern = _name(column.name), _typed(contract, column.name), PATTERNS[column.type]
        if pattern:
            fits = f"regexp_full_match({text}, {_text(pattern)}) and {typed} is not null"
            fits += f" and isfinite({typed})" if column.type == "DOUBLE" else ""
            types.append((f"{text} is not null and not ({fits})", "type", column.name))
        if column.required or column.name in contract.key:
            required.append((f"{text} is null", "required", column.name))
        if column.minimum is not None:
            ranges.append((f"{typed} < {column.minimum!r}", "range", column.name))
        if column.maximum is not None:
            ranges.append((f"{typed} > {column.maximum!r}", "range", column.name))
        if column.values is not None:
            listed = ", ".join(map(_text, column.values))
            values.append((f"cast({typed} as varchar) not in ({listed})", "value", column.name))
    return types + required + ranges + values


def _reject_repeated(connection: Connection, contract: Contract) -> None:
    """Of the rows that fit, reject all but the first of each key.

    Keys are compared as values (07 is 7), whole records as they were delivered.
    """
    keys = ", ".join(f"key_{place}" for place in range(len(contract.key)))
    key_values = ", ".join(f"{_typed(contract, name)} as key_{place}" for place, name in enumerate(contract.key))
    columns = ", ".join(_name(name) for name in contract.column_names)
    connection.execute(
        f"""insert into rejected
        with fitting as (
            select *, {key_values} from delivered anti join rejected using (source_file, source_row)
        ),
        repeated_key as (select {keys} from fitting group by all having count(*) > 1),
        numbered as (
            select
                *,
                row_number() over (partition by {keys} order by source_file, source_row) as key_number,
                row_number() over (partition by {columns} order by source_file, source_row) as copy_number
            from fitting semi join repeated_key using ({keys})
        )
        select
            source_file,
            source_row,
            if(copy_number > 1, 'duplicate_row', 'duplicate_key'),
            if(copy_number > 1, null, {_text(", ".join(contract.key))}),
            {_record(contract)}
        from numbered
        where key_number > 1"""
    )


def _publish(connection: Connection, contract: Contract, source: str, deliveries: list[_Delivery]) -> Loaded:
    """Fill the raw table, the quarantine and the list of deliveries, and prove that they add up."""
    mine = {"source": source, "table_name": contract.name}
    is_mine = "source = $source and table_name = $table_name"
    columns = ", ".join(f"{_typed(contract, name)} as {_name(name)}" for name in contract.types)
    connection.execute("begin")
    for name in ("quarantine", "delivery"):
        create_if_missing(connection, _raw_contract(name))
    create(connection, contract)
    connection.execute(
        f"insert into {contract.table} by name select {columns} "
        "from delivered anti join rejected using (source_file, source_row)"
    )
    connection.execute(f"delete from raw.quarantine where step = 'ingest' and {is_mine}", mine)
    connection.execute(
        "insert into raw.quarantine by name "
        "select 'ingest' as step, $source as source, $table_name as table_name, rejected.* from rejected",
        mine,
    )
    connection.execute(f"delete from raw.delivery where {is_mine}", mine)
    for delivery in deliveries:
        connection.execute(
            f"""insert into raw.delivery by name
            select
                $source as source,
                $table_name as table_name,
                $source_file as source_file,
                $sha256 as sha256,
                $size_bytes as size_bytes,
                $delivered_rows as delivered_rows,
                (select count(*) from {contract.table} where source_file = $source_file) as loaded_rows,
                (
                    select count(*) from raw.quarantine
                    where step = 'ingest' and {is_mine} and source_file = $source_file
                ) as quarantined_rows,
                $undeclared_columns as undeclared_columns""",
            mine | _described(delivery),
        )
    [[delivered, loaded, quarantined, is_proven]] = connection.execute(
        f"""select sum(delivered_rows)::bigint, sum(loaded_rows)::bigint, sum(quarantined_rows)::bigint,
            bool_and(delivered_rows = loaded_rows + quarantined_rows)
        from raw.delivery where {is_mine}""",
        mine,
    ).fetchall()
    if not is_proven:
        raise LedgerError(
            f"{contract.table}: {delivered} rows were delivered, but {loaded} loaded and {quarantined} put "
            "in quarantine. Report this."
        )
    connection.execute("commit")
    return Loaded(delivered, loaded, quarantined, tuple(delivery.file.where for delivery in deliveries))


@cache
def _raw_contract(name: str) -> Contract:
    return contracts.read(paths.DATA_CONTRACTS / "0_raw" / f"{name}.yaml")


def _described(delivery: _Delivery) -> dict[str, object]:
    """A file's part of its row in raw.delivery."""
    declared = {_delivered_as(column) for column in delivery.file.contract.columns}
    with delivery.file.path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return {
        "source_file": delivery.file.where,
        "sha256": digest.hexdigest(),
        "size_bytes": delivery.file.path.stat().st_size,
        "delivered_rows": delivery.rows,
        "undeclared_columns": [name for name in delivery.columns if name not in declared],
    }


# --- SQL text ---


def _typed(contract: Contract, name: str) -> str:
    """A column's value in the raw table."""
    type_ = contract.types[name]
    return _name(name) if type_ == "VARCHAR" else f"try_cast({_name(name)} as {type_})"


def _record(contract: Contract) -> str:
    """A row as it was delivered."""
    return f"to_json({{{', '.join(f'{_name(name)}: {_name(name)}' for name in contract.column_names)}}})"


def _delivered_as(column: Column) -> str:
    return column.delivered_as or column.name


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
