"""CSV files: DuckDB reads one by itself where every line is one record as RFC 4180 writes it.

Other files are split here first: DuckDB takes a surplus empty field for none and an open quote for a
field that holds the rows below it, and either loses what was delivered.
"""

import codecs
import csv
import gzip
import itertools
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedIOBase
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import duckdb
import numpy as np
from numpy.typing import NDArray

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

BLOCK_BYTES = 1 << 18  # what a processor keeps at hand
LINE_LIMIT_BYTES = 1 << 21  # DuckDB's own limit, raised where a record is longer
LINE_MAX_BYTES = 1 << 28  # a longer one is no record, and would have to be held in memory
RECORD_LIMIT_LINES = 100  # beyond this an open quote is a slip, not a field of several lines

# A field as RFC 4180 writes it; and as it is understood too: blanks around its quotes, quotes in plain text.
_QUOTED = rb'"(?:[^"]++|"")*+"'
_STANDARD_FIELD = rb'(?:%s|[^",]*+)' % _QUOTED
_FIELD = rb'(?: *+%s *+|(?! *+")[^,]*+)' % _QUOTED
_FIELDS = re.compile(rb"(?:\A|,)(%s)" % _FIELD)
_RECORD_OF_ANY_WIDTH = re.compile(rb"%s(?:,%s)*+" % (_FIELD, _FIELD))
_OPEN_RECORD = re.compile(rb'(?:%s,)*+ *+"(?:[^"]++|"")*+' % _FIELD)


def read(file: DeliveredFile) -> Delivery:
    delivered = check_columns(file, _header(file))
    # DuckDB reads while the bytes are looked at here, for neither keeps two cores busy. Not so a compressed file:
    # that it is no bomb must be known first.
    with ThreadPoolExecutor(max_workers=1) as beside:
        scan = beside.submit(_scan, file, len(delivered))
        is_read = not _is_gzip(file.path) or scan.result().is_plain
        rows = _read_whole(file, delivered) if is_read else None
        text = scan.result()
    if text.is_plain and rows == text.filled_lines - 1:
        return Delivery(file, delivered, rows)
    return _read_by_line(file, text, delivered)


def _read_whole(file: DeliveredFile, delivered: list[str]) -> int | None:
    """Let DuckDB read the file as it is; None where it refuses."""
    try:
        return _read_records(file, file.path, delivered, "skip = 1")
    except duckdb.InvalidInputException:
        return None


def _read_records(file: DeliveredFile, path: Path, delivered: list[str], options: str) -> int:
    """Read the declared columns, by the place the header gives them, and count the records.

    Args:
        path: The file as delivered, or the records it was split into.
    """
    places = [f"c{place}" for place in range(len(delivered))]
    place_of = dict(zip(delivered, places, strict=True))
    columns = ", ".join(
        f"{place_of.get(delivered_as(column), 'null::varchar')} as {sql_name(column.name)}"
        for column in file.contract.columns
    )
    rows = _csv(path, places, options)
    file.connection.execute(f"create or replace temp table {file.table} as select {columns} from {rows}")
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


# --- CSV: one look at every byte ---


@dataclass(frozen=True)
class _Text:
    """What one pass over a CSV file tells.

    Attributes:
        filled_lines: Lines that are not blank, the header among them.
        is_plain: Each of them is a record by itself that DuckDB reads as RFC 4180 means it.
    """

    lines: int
    filled_lines: int
    size_bytes: int
    is_plain: bool


def _header(file: DeliveredFile) -> list[str]:
    """The names in the first line that is not blank."""
    line = b""
    with _opened(file) as stream:
        for number in itertools.count():
            delivered_line = stream.readline(LINE_MAX_BYTES)
            if not (number or delivered_line):
                raise ExtractError(f"{file.where}: is empty. Deliver it again.")
            _check_encoding(file, delivered_line, number)
            line = _content(delivered_line if number else delivered_line.removeprefix(codecs.BOM_UTF8))
            if line or not delivered_line:
                break
    if not line:
        raise ExtractError(f"{file.where}: has no header. Deliver it with the column names in its first line.")
    if b"\r" in line:
        raise ExtractError(f"{file.where}: ends its lines with carriage returns alone. Save it with LF or CRLF.")
    try:
        [names] = csv.reader([line.decode()], strict=True)
    except csv.Error:
        raise ExtractError(f"{file.where}: has a header with a quote amiss. Mend its first line.") from None
    return [name.strip() for name in names]


def _scan(file: DeliveredFile, width: int) -> _Text:
    """Check compression and encoding, count lines, and see whether each is a record."""
    line_count = filled_lines = size_bytes = 0
    is_plain = True
    for block in blocks(file):
        size_bytes += len(block)
        if not line_count:
            block = block.removeprefix(codecs.BOM_UTF8)
        lines = _lines(block, width)
        line_count += len(lines.is_plain)
        filled_lines += len(lines.is_plain) - int(np.count_nonzero(lines.is_blank))
        is_plain = is_plain and bool((lines.is_plain | lines.is_blank).all())
    return _Text(line_count, filled_lines, size_bytes, is_plain)


def blocks(file: DeliveredFile) -> Iterator[bytes]:
    """The bytes of a text file, decompressed and found to be UTF-8, in blocks that end where a line ends.

    Raises:
        ExtractError: The file is damaged, empty, or in another encoding.
    """
    lines = 0
    is_empty = True
    with _opened(file) as stream:
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
    if is_empty:
        raise ExtractError(f"{file.where}: is empty. Deliver it again.")


@contextmanager
def _opened(file: DeliveredFile) -> Iterator[BufferedIOBase]:
    try:
        with open_bytes(file.path, file.where) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ExtractError(f"{file.where}: is cut short or damaged gzip. Deliver it again.") from None


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


@dataclass(frozen=True)
class _Lines:
    """The lines of a block.

    Attributes:
        starts: Where each starts, and where the block ends.
        is_plain: Whether it is a record by itself, written as RFC 4180 does.
    """

    starts: NDArray[np.int64]
    is_blank: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]


# What may stand before the quote that opens a field, and behind the one that closes it. A doubled quote closes its
# field and opens it again at once.
_BEFORE_FIELD, _BEHIND_FIELD = (np.isin(np.arange(256), list(bytes_)) for bytes_ in (b',\n"', b',\r\n"'))


def _lines(block: bytes, width: int) -> _Lines:
    """Judge each line of a block that starts and ends where a line does."""
    text = np.frombuffer(b"\n" + block + b"\n", np.uint8)  # so that each byte of the block has neighbours
    ends = np.flatnonzero(text == ord("\n"))
    starts, ends = ends[:-1] + 1, ends[1:]
    if block.endswith(b"\n"):
        starts, ends = starts[:-1], ends[:-1]
    commas = np.flatnonzero(text == ord(","))
    separators = np.diff(np.searchsorted(commas, ends), prepend=0)
    is_blank = starts == ends
    is_amiss = np.zeros(len(ends), bool)
    if b'"' in block:
        quotes = np.flatnonzero(text == ord('"'))
        line = np.searchsorted(ends, quotes)
        is_amiss = np.bincount(line, minlength=len(ends)) % 2 == 1
        in_pairs = ~is_amiss[line]
        opening, closing, line = quotes[in_pairs][::2], quotes[in_pairs][1::2], line[in_pairs][::2]
        is_astray = ~(_BEFORE_FIELD[text[opening - 1]] & _BEHIND_FIELD[text[closing + 1]])
        is_amiss[line[is_astray]] = True
        quoted = np.searchsorted(commas, closing) - np.searchsorted(commas, opening)
        np.subtract.at(separators, line, quoted)
    if b"\r" in block:
        returns = np.flatnonzero(text == ord("\r"))
        is_blank |= (ends - starts == 1) & (text[starts] == ord("\r"))
        is_amiss[np.searchsorted(ends, returns[text[returns + 1] != ord("\n")])] = True
    if b"\0" in block:
        is_amiss[np.searchsorted(ends, np.flatnonzero(text == 0))] = True
    is_plain = (separators == width - 1) & ~is_amiss & ~is_blank
    return _Lines(np.append(starts - 1, len(block)), is_blank, is_plain)


# --- CSV: splitting line by line ---


def _read_by_line(file: DeliveredFile, text: _Text, delivered: list[str]) -> Delivery:
    """Split a file into records here, and reject the lines that are none."""
    spill = spill_folder(file.connection)
    # Temporary files are readable by this user alone, and gone at the end.
    with NamedTemporaryFile(dir=spill) as records, NamedTemporaryFile(dir=spill) as rejects:
        with _opened(file) as stream:
            split = _split(stream, len(delivered), records, rejects)
        if (split.lines, split.size_bytes) != (text.lines, text.size_bytes):
            raise LedgerError(
                f"{file.where}: has {text.lines} lines, but {split.lines} came out of splitting it. "
                "Run again if the file was being written, else report this."
            )
        records.flush()
        rejects.flush()
        # A carriage return inside quotes must not be taken for the end of lines.
        options = f"new_line = '\\n', max_line_size = {max(split.longest_bytes, LINE_LIMIT_BYTES)}"
        unfit = _csv(Path(rejects.name), ["source_row", "rule", "record"], options)
        try:
            read = _read_records(file, Path(records.name), delivered, options)
            [[rejected]] = file.connection.execute(
                f"insert into rejected select $file, source_row, rule, null, record from {unfit}",
                {"file": file.where},
            ).fetchall()
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            raise ExtractError(f"{file.where}: cannot be split into records. Deliver standard CSV.") from None
    if (read, rejected) != (split.rows, split.rejects):
        raise LedgerError(
            f"{file.where}: was split into {split.rows} records, {split.rejects} of them unfit, but "
            f"{read} and {rejected} were read. Report this."
        )
    return Delivery(file, delivered, read)


def spill_folder(connection: Connection) -> str | None:
    """DuckDB's own folder for what does not fit in memory: one that a locked-down warehouse may read."""
    [[folder]] = connection.execute("select current_setting('temp_directory')").fetchall()
    return folder if Path(folder).is_dir() else None


@dataclass(frozen=True)
class _Split:
    """What splitting a file came to: its rows, and how many of them are rejects."""

    rows: int
    rejects: int
    lines: int
    size_bytes: int
    longest_bytes: int


def _split(stream: BufferedIOBase, width: int, records: IO[bytes], rejects: IO[bytes]) -> _Split:
    """Write the records below the header, with a blank one in the place of each line that is none; and those apart."""
    blank_record = b'""' + b"," * (width - 1)
    rows = reject_count = line_count = size_bytes = longest_bytes = 0
    is_header = True
    for piece in _pieces(stream, width):
        line_count += piece.lines
        size_bytes += piece.size_bytes
        piece_rows, text = piece.rows, piece.text
        if is_header and piece_rows:
            is_header = False
            text = text.partition(b"\n")[2] if piece_rows > 1 else b""
            piece_rows -= 1
        if not piece_rows:
            continue
        rows += piece_rows
        longest_bytes = max(longest_bytes, piece.longest_bytes)
        if piece.rule is None:
            records.write(text + b"\n")
        else:
            records.write(blank_record + b"\n")
            reject_count += 1
            rejected = b'%d,%s,"%s"\n' % (rows, piece.rule.encode(), text.replace(b'"', b'""'))
            longest_bytes = max(longest_bytes, rejects.write(rejected))
    return _Split(rows, reject_count, line_count, size_bytes, longest_bytes)


@dataclass(frozen=True)
class _Piece:
    """Lines that belong together: plain records, or one record, or a line that is none, or a blank one.

    Attributes:
        rule: The rule that a line breaks.
        text: Of records as RFC 4180 has them, without the last line's end; of a line that is none as delivered.
        longest_bytes: No line of the text is longer.
    """

    rule: str | None
    text: bytes
    rows: int
    lines: int
    size_bytes: int
    longest_bytes: int


def _pieces(stream: BufferedIOBase, width: int) -> Iterator[_Piece]:
    """Divide a file into pieces, in its order; only lines that are not plain are looked at one by one."""
    below: deque[bytes] = deque()  # lines below the block, read to see whether they close a quote
    is_first = True
    while block := b"".join(below) + stream.read(BLOCK_BYTES) + stream.readline():
        below.clear()
        mark = codecs.BOM_UTF8 if is_first and block.startswith(codecs.BOM_UTF8) else b""
        is_first = False
        if mark:
            yield _Piece(None, b"", 0, 0, len(mark), 0)
            block = block.removeprefix(mark)
        lines = _lines(block, width)
        starts = lines.starts.tolist()
        longest_bytes = int(np.diff(lines.starts).max(initial=0))
        done = 0

        def line_at(place: int, block: bytes = block, starts: list[int] = starts) -> bytes:
            if place < len(starts) - 1:
                return block[starts[place] : starts[place + 1]]
            while len(below) <= place - len(starts) + 1:
                below.append(stream.readline())
            return below[place - len(starts) + 1]

        for place in [*np.flatnonzero(~lines.is_plain).tolist(), len(starts) - 1]:
            if place < done:
                continue  # joined with a line above
            if place > done:
                text = block[starts[done] : starts[place]]
                size = len(text)
                if b"\r" in text:
                    text = text.replace(b"\r\n", b"\n")
                yield _Piece(None, _content(text), place - done, place - done, size, longest_bytes)
            if place == len(starts) - 1:
                break
            piece = _piece_at(place, line_at, width)
            yield piece
            done = place + piece.lines
        for _ in range(done - len(starts) + 1):
            below.popleft()


def _piece_at(place: int, line_at: Callable[[int], bytes], width: int) -> _Piece:
    """Judge one line, and join it with those below where that makes a record.

    A line whose quote stays open is joined with those below it if that makes a record, unless one of those is a
    record by itself: then the quote is a slip, and joining would swallow what was delivered.
    """
    is_record = _record_of(_FIELD, width)
    line = line_at(place)
    text = _content(line)
    rule = None
    joined = 0
    if b"\0" in text:
        rule = "nul_byte"
    elif b'"' not in text:
        if text.count(b",") != width - 1 and text:
            rule = "ragged_row"
        elif b"\r" in text:
            text = _as_standard(text)
    elif is_record(text):
        text = _as_standard(text)
    elif not _OPEN_RECORD.fullmatch(text):
        rule = "ragged_row" if _RECORD_OF_ANY_WIDTH.fullmatch(text) else "stray_quote"
    elif joined := _lines_to_join(place, line_at, width):
        line = b"".join(line_at(place + depth) for depth in range(joined + 1))
        text = _as_standard(_content(line))
    else:
        rule = "unclosed_quote"
    return _Piece(rule, text, int(text != b""), joined + 1, len(line), len(text) + 1)


def _lines_to_join(place: int, line_at: Callable[[int], bytes], width: int) -> int:
    is_record, is_standard = _record_of(_FIELD, width), _record_of(_STANDARD_FIELD, width)
    text = line_at(place)
    for depth in range(1, RECORD_LIMIT_LINES):
        below = line_at(place + depth)
        content = _content(below)
        if not below or b"\0" in below or (content and is_standard(content)):
            return 0
        text += below
        if b'"' in below and is_record(_content(text)):
            return depth
        if not _OPEN_RECORD.fullmatch(text):
            return 0
    return 0


@cache
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
