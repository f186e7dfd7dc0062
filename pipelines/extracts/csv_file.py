"""CSV files: DuckDB reads one by itself where every line is one record as RFC 4180 writes it.

Other files are split line by line here first: DuckDB takes a surplus empty field for none and an open quote for a
field that holds the rows below it, and either loses what was delivered.
"""

import codecs
import csv
import gzip
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import duckdb
import numpy as np

from pipelines.errors import ExtractError, LedgerError
from pipelines.extracts.delivered import (
    DeliveredFile,
    Delivery,
    check_columns,
    delivered_as,
    open_bytes,
    sql_name,
    sql_text,
)
from pipelines.warehouse import Connection, count

_WIDE_MARKS = {  # the little-endian mark of UTF-32 starts with that of UTF-16, so it comes first
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

BLOCK_BYTES = 1 << 20
LINE_LIMIT_BYTES = 1 << 21  # DuckDB's own limit, raised where a record is longer
LINE_MAX_BYTES = 1 << 28  # a longer one is no record, and would have to be held in memory
RECORD_LIMIT_LINES = 100  # beyond this an open quote is a slip, not a field of several lines

# A field as RFC 4180 writes it; and as it is understood too: blanks around its quotes, quotes in plain text.
_QUOTED = rb'"(?:[^"]++|"")*+"'
_STANDARD_FIELD = rb'(?:%s|[^",]*+)' % _QUOTED
_FIELD = rb'(?: *+%s *+|(?! *+")[^,]*+)' % _QUOTED
_FIELDS = re.compile(rb"(?:\A|,)(%s)" % _FIELD)
_RECORD_OF_ANY_WIDTH = re.compile(rb"%s(?:,%s)*+" % (_FIELD, _FIELD))
_BLANK_LINES = re.compile(rb"^\r?\n", re.MULTILINE)
_OPEN_RECORD = re.compile(rb'(?:%s,)*+ *+"(?:[^"]++|"")*+' % _FIELD)


def read(file: DeliveredFile) -> Delivery:
    text = _scan(file)
    delivered = check_columns(file, _header(file, text.header))
    # DuckDB refuses a record that lacks a field, or whose surplus field has text. So where there are just enough
    # separators for all records, each has its own. And where records are as many as lines, none holds another.
    if text.is_standard and text.separators == (len(delivered) - 1) * text.filled_lines:
        try:
            rows = _read_records(file, file.path, delivered)
        except duckdb.InvalidInputException:
            rows = None
        if rows == text.filled_lines - 1:
            return Delivery(file, delivered, rows)
    return _read_by_line(file, text, delivered)


def _read_records(file: DeliveredFile, path: Path, delivered: list[str], line_limit_bytes: int | None = None) -> int:
    """Read the declared columns, by the place the header gives them, and count the records.

    Args:
        path: The file as delivered, or the records it was split into.
        line_limit_bytes: Given with split records, which have a number each but no header.
    """
    places = [f"c{place}" for place in range(len(delivered))]
    place_of = {name: f"c{place}" for place, name in enumerate(delivered)}
    columns = [
        f"{place_of.get(delivered_as(column), 'null::varchar')} as {sql_name(column.name)}"
        for column in file.contract.columns
    ]
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
        f"read_csv({sql_text(str(path))}, columns = {{{types}}}, compression = '{compression}', {options}, "
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


def _scan(file: DeliveredFile) -> _Text:
    """Check compression and encoding, count lines and separators."""
    header = b""
    lines = blank_lines = size_bytes = separators = 0
    is_standard = True
    for block in blocks(file):
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
    return _Text(header, lines, lines - blank_lines, size_bytes, separators, is_standard)


def blocks(file: DeliveredFile) -> Iterator[bytes]:
    """The bytes of a text file, decompressed and found to be UTF-8, in blocks that end where a line ends.

    Raises:
        ExtractError: The file is damaged, empty, or in another encoding.
    """
    lines = 0
    is_empty = True
    try:
        with open_bytes(file.path, file.where) as stream:
            # A block ends where a line ends, so that it can be judged by itself.
            while block := stream.read(BLOCK_BYTES) + stream.readline(LINE_MAX_BYTES):
                if len(block) >= BLOCK_BYTES + LINE_MAX_BYTES:
                    raise ExtractError(
                        f"{file.where}: has a line of more than {LINE_MAX_BYTES >> 20} MiB. Deliver one record a line."
                    )
                _check_encoding(file, block, lines)
                lines += block.count(b"\n")
                is_empty = False
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ExtractError(f"{file.where}: is cut short or damaged gzip. Deliver it again.") from None
    if is_empty:
        raise ExtractError(f"{file.where}: is empty. Deliver it again.")


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _content(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _check_encoding(file: DeliveredFile, block: bytes, lines_before: int) -> None:
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


def _header(file: DeliveredFile, line: bytes) -> list[str]:
    if not line:
        raise ExtractError(f"{file.where}: has no header. Deliver it with the column names in its first line.")
    if b"\r" in line:
        raise ExtractError(f"{file.where}: ends its lines with carriage returns alone. Save it with LF or CRLF.")
    try:
        [names] = csv.reader([line.decode()], strict=True)
    except csv.Error:
        raise ExtractError(f"{file.where}: has a header with a quote amiss. Mend its first line.") from None
    return [name.strip() for name in names]


# --- CSV: splitting line by line ---


def _read_by_line(file: DeliveredFile, text: _Text, delivered: list[str]) -> Delivery:
    """Split a file into records here, and reject the lines that are none."""
    spill = spill_folder(file.connection)
    # Temporary files are readable by this user alone, and gone at the end.
    with NamedTemporaryFile(dir=spill) as records, NamedTemporaryFile(dir=spill) as rejects:
        with open_bytes(file.path, file.where) as stream:
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
    return Delivery(file, delivered, read + rejected, row_number="source_row")


def spill_folder(connection: Connection) -> str | None:
    """DuckDB's own folder for what does not fit in memory: one that a locked-down warehouse may read."""
    [[folder]] = connection.execute("select current_setting('temp_directory')").fetchall()
    return folder if Path(folder).is_dir() else None


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
