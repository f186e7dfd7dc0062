"""NDJSON files: one JSON object per line, such as a FHIR bulk export.

DuckDB reads a line as the one field of a CSV record, with a separator that the file does not hold, and takes the
declared fields out of it. A field is named as it stands at the top level of the object, or by a JSON pointer (RFC 6901)
where it lies deeper: ``/subject/reference``. A nested value is loaded as its JSON text.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import duckdb

from pipelines.errors import ExtractError, LedgerError
from pipelines.extracts import csv_file
from pipelines.extracts.delivered import DeliveredFile, Delivery, check_columns, delivered_as, sql_name, sql_text
from pipelines.warehouse import count

# JSON writes these only as escapes, so no line that is JSON holds one.
_CONTROLS = bytes([*range(1, 9), *range(14, 32)])
_NOT_CONTROLS = bytes(set(range(256)) - set(_CONTROLS))


@dataclass(frozen=True)
class _Text:
    """What one pass over a file tells.

    Attributes:
        separator: A control byte that the file does not hold; likewise ``stand_in``, for carriage returns.
    """

    separator: bytes
    stand_in: bytes
    lines: int
    longest_bytes: int
    has_returns: bool


def read(file: DeliveredFile) -> Delivery:
    """Load the declared fields of every object and reject the lines that are none.

    Rows are numbered by line, so that a number leads to its line in any editor; a blank line is no row.

    Raises:
        ExtractError: The file is damaged, holds no object at all, or none with the fields that must be there.
        LedgerError: A line was lost or made up in reading.
    """
    text = _scan(file)
    with NamedTemporaryFile(dir=csv_file.spill_folder(file.connection)) as copy:
        path = file.path
        if text.has_returns:  # DuckDB would end a line at any of them
            for block in csv_file.blocks(file):
                copy.write(block.replace(b"\r\n", b"\n").replace(b"\r", text.stand_in))
            copy.flush()
            path = Path(copy.name)
        try:
            # A case, because DuckDB judges both sides of an "and" and json_type refuses what is no JSON.
            file.connection.execute(
                f"""create temp table {file.table}_line as
                select line, case when json_valid(line) then json_type(line) = 'OBJECT' else false end as is_object
                from (
                    select replace(line, {_sql_byte(text.stand_in)}, chr(13)) as line
                    from {_line_by_line(path, text)}
                )"""
            )
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            raise ExtractError(f"{file.where}: cannot be split into lines. Deliver standard NDJSON.") from None
    if count(file.connection, f"{file.table}_line") != text.lines:
        raise LedgerError(
            f"{file.where}: has {text.lines} lines, but another number was read. "
            "Run again if the file was being written, else report this."
        )
    return _delivery(file)


def _delivery(file: DeliveredFile) -> Delivery:
    lines = f"{file.table}_line"
    # Objects are many and the lists of their names few.
    named = file.connection.execute(f"select distinct json_keys(line) from {lines} where is_object").fetchall()
    if not named:
        raise ExtractError(f"{file.where}: has no line that is one JSON object. Deliver NDJSON, an object per line.")
    if any(len(set(names)) < len(names) for [names] in named):
        repeated = "is_object and len(list_distinct(json_keys(line))) < len(json_keys(line))"
    else:
        repeated = "false"
    [[rejected]] = file.connection.execute(
        f"""insert into rejected
        select $file, rowid + 1, if(is_object, 'repeated_field', 'not_json'), null, line from {lines}
        where
            case when is_object then {repeated} else trim(line, chr(32) || chr(9) || chr(13)) <> '' end""",
        {"file": file.where},
    ).fetchall()
    pointers = ", ".join(sql_text(_pointer(delivered_as(column))) for column in file.contract.columns)
    columns = ", ".join(
        f"nullif(fields[{place}], '') as {sql_name(column.name)}"
        for place, column in enumerate(file.contract.columns, 1)
    )
    file.connection.execute(
        f"""create temp table {file.table} as
        select source_row, {columns}
        from (
            select rowid + 1 as source_row, json_extract_string(line, [{pointers}]) as fields from {lines}
            where case when is_object then not ({repeated}) else false end
        )"""
    )
    file.connection.execute(f"drop table {lines}")
    rows = count(file.connection, file.table)
    delivered = _delivered(file, {name for [names] in named for name in names})
    if check_columns(file, delivered) != delivered:
        raise ExtractError(
            f"{file.where}: spells a field in another case than the contract of {file.contract.table}, and JSON tells "
            "them apart. Correct delivered_as there."
        )
    return Delivery(file, delivered, rows + rejected, row_number="source_row")


def _delivered(file: DeliveredFile, keys: set[str]) -> list[str]:
    """The declared fields that any object has, and the top-level names that no declared field stands below."""
    names = [delivered_as(column) for column in file.contract.columns]
    counts = ", ".join(f"count({sql_name(column.name)})" for column in file.contract.columns)
    [filled] = file.connection.execute(f"select {counts} from {file.table}").fetchall()
    found = [name for name, rows in zip(names, filled, strict=True) if rows or name in keys]
    tops = {_top(name) for name in names}
    return found + sorted(keys - tops)


def _scan(file: DeliveredFile) -> _Text:
    lines = longest_bytes = 0
    has_returns = False
    unused = set(_CONTROLS)
    for block in csv_file.blocks(file):
        if not lines:
            block = block.removeprefix(codecs.BOM_UTF8)
        lines += block.count(b"\n") + (not block.endswith(b"\n"))
        longest_bytes = max(longest_bytes, *map(len, block.split(b"\n")))
        has_returns = has_returns or b"\r" in block
        unused -= set(block.translate(None, delete=_NOT_CONTROLS))
    if len(unused) < 2:
        raise ExtractError(f"{file.where}: holds control characters of every kind. Deliver NDJSON, not binary data.")
    separator, stand_in = (bytes([byte]) for byte in sorted(unused)[:2])
    return _Text(separator, stand_in, lines, longest_bytes, has_returns)


def _line_by_line(path: Path, text: _Text) -> str:
    compression = "gzip" if path.name.lower().endswith(".gz") else "none"
    return (
        f"read_csv({sql_text(str(path))}, columns = {{line: 'VARCHAR'}}, compression = '{compression}', "
        f"delim = {_sql_byte(text.separator)}, quote = '', escape = '', comment = '', nullstr = '', new_line = '\\n', "
        f"header = false, auto_detect = false, strict_mode = true, null_padding = false, ignore_errors = false, "
        f"max_line_size = {max(text.longest_bytes + 2, csv_file.LINE_LIMIT_BYTES)}, hive_partitioning = false)"
    )


def _pointer(name: str) -> str:
    """A field's place as a JSON pointer."""
    return name if name.startswith("/") else "/" + name.replace("~", "~0").replace("/", "~1")


def _top(name: str) -> str:
    """The top-level name that a field stands below."""
    return _pointer(name).split("/")[1].replace("~1", "/").replace("~0", "~")


def _sql_byte(byte: bytes) -> str:
    return sql_text(byte.decode())
