"""What delivered files look like: types, ranges, and the values of columns that have few. No other value of a row."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import duckdb

from pipelines import contracts, extracts, identifiers, sql_files, warehouse
from pipelines.contracts import Contract
from pipelines.errors import ExtractError
from pipelines.extracts.delivered import SUFFIXES, sql_name, sql_text
from pipelines.extracts.loading import PATTERNS
from pipelines.identifiers import Finding
from pipelines.settings import Settings
from pipelines.warehouse import Connection

# A value is shown where a column has few and each stands in at least as many rows as a published count must have.
FEW_VALUES = 12
FEWEST_ROWS_OF_A_VALUE = 11

# A query takes longer to prepare than the values of most columns to look at.
COLUMNS_AT_A_TIME = 100

OTHER_SUFFIXES = (".tsv", ".txt", ".dat", ".xls", ".xlsx", ".json", ".xml")

TYPES = ("DATE", "TIMESTAMP", "INTEGER", "BIGINT", "DOUBLE")
# A day as text, in the order of preference where two read the same values.
DATE_FORMATS = {
    "%Y%m%d": r"(19|20|21|22)\d{6}",
    "%m/%d/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%d/%m/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%d.%m.%Y": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "%d-%b-%Y": r"\d{1,2}-[A-Za-z]{3}-\d{4}",
    "%d%b%Y": r"\d{1,2}[A-Za-z]{3}\d{4}",
    "%m/%d/%Y %H:%M": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}",
    "%d/%m/%Y %H:%M": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}",
    "%m/%d/%Y %H:%M:%S": r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2}",
    "%m/%d/%Y %I:%M %p": r"(?i)\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2} [ap]m",
    "%Y-%m-%dT%H:%M:%S%z": r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)",
}
INSTANT = "%Y-%m-%dT%H:%M:%S%z"
# What the values of a column can be, as a pattern that a whole value matches.
KINDS = {
    "ICD10CM": r"(?i)[a-z]\d[0-9a-z](\.?[0-9a-z]{1,4})?",
    "ICD9CM": r"(?i)(\d{3}(\.?\d{1,2})?|v\d{2}(\.?\d{1,2})?|e\d{3}(\.?\d)?)",
    "CPT4": r"(?i)\d{4}[0-9ftu]",
    "HCPCS": r"(?i)[a-v]\d{4}",
    "NDC": r"\d{11}|\d{4,5}-\d{3,4}-\d{1,2}",
    "score": r"(?i)\s*(\d|10)(\.\d+)?(\s*/\s*10)?\s*",
}


@dataclass(frozen=True)
class ColumnProfile:
    """One delivered column.

    Attributes:
        name: Its name in the contract; ``delivered_as`` is the header's.
        type: The narrowest type that all its values fit; text where leading zeros would be lost.
        distinct_values: Number of different values.
        minimum: Smallest value of a number or a date; likewise ``maximum``.
        values: Its values, where it has few and each is frequent; else empty.
        date_formats: Formats in which all its texts are days.
        kinds: Share of the different values that look like a code, a score and so on, by kind.
        opioid_values: Different values that name an opioid.
        pain_values: Different values that speak of pain.
    """

    name: str
    delivered_as: str
    type: str
    rows: int
    filled_rows: int
    distinct_values: int
    minimum: str | None
    maximum: str | None
    values: tuple[str, ...]
    date_formats: tuple[str, ...]
    kinds: dict[str, float]
    opioid_values: int
    pain_values: int

    @property
    def is_unique(self) -> bool:
        return self.distinct_values == self.rows > 0

    @property
    def is_date(self) -> bool:
        return self.type in ("DATE", "TIMESTAMP") or bool(self.date_formats)

    @property
    def is_number(self) -> bool:
        return self.type in ("INTEGER", "BIGINT", "DOUBLE")


@dataclass(frozen=True)
class TableProfile:
    """One delivered table: a file, or files that differ only by a number in their names.

    Attributes:
        files: Glob below the extract's folder.
        quarantined_rows: Lines that are no record.
        identifiers: Columns that look identifying; those whose values do are not profiled.
    """

    name: str
    files: str
    rows: int
    quarantined_rows: int
    columns: tuple[ColumnProfile, ...]
    identifiers: tuple[Finding, ...] = ()


def profiles(files: Sequence[Path]) -> tuple[Path, list[TableProfile]]:
    """Profile delivered files.

    Args:
        files: Files of one extract, or a folder with them.

    Returns:
        The extract's folder, and a profile per table.

    Raises:
        ExtractError: There is no such file, or one cannot be read.
    """
    found = sorted({file for path in files for file in _files_of(path)})
    if not found:
        raise ExtractError("--from: names no file. Give the files of the extract, or its folder.")
    folder = found[0].parent
    while not all(file.is_relative_to(folder) for file in found):
        folder = folder.parent
    with (
        tempfile.TemporaryDirectory(prefix="oih-source-") as place,
        warehouse.opened(Path(place) / "profile.duckdb", [folder]) as connection,
    ):
        warehouse.build_reference(connection, contracts.all_contracts()["reference.opioid_name"])
        names_opioid = sql_files.macro("names_opioid")
        warehouse.create_macros(connection, [*names_opioid.calls, names_opioid])
        return folder, [_profile(connection, folder, table, glob) for table, glob in _tables(folder, found)]


def with_patient(table: TableProfile, column: str) -> TableProfile:
    """The table with one column, named as its header has it, as the patient's."""
    named = [replace(each, name="patient_id") if each.delivered_as == column else each for each in table.columns]
    return replace(table, columns=tuple(named))


def _files_of(path: Path) -> Iterable[Path]:
    path = path.resolve()
    if path.is_dir():
        extracts.require_folder(path)
        files = [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            if file.name.lower().endswith(OTHER_SUFFIXES):
                raise ExtractError(f"{file}: is none of {', '.join(SUFFIXES)}. Convert it, or move it elsewhere.")
        return [file for file in files if file.name.lower().endswith(SUFFIXES)]
    if not path.is_file():
        raise ExtractError(f"{path}: there is no such file. Give the files of the extract, or its folder.")
    return [path]


def _tables(folder: Path, files: list[Path]) -> Iterable[tuple[str, str]]:
    """Name and glob of each table; files whose names differ by a number alone are parts of one."""
    parts: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        stem = file.name.split(".")[0]
        parts.setdefault((str(file.parent), re.sub(r"[\d_-]*\d[\d_-]*", "*", stem)), []).append(file)
    for (parent, stem), together in parts.items():
        if len(together) == 1 and not re.search(r"\d{4}", together[0].name):  # a year or a day, so more will come
            stem = together[0].name.split(".")[0]
        below = Path(parent).relative_to(folder).as_posix()
        glob = f"{stem}.*" if below == "." else f"{below}/{stem}.*"
        yield snake_case(stem.replace("*", " ")), glob


def _profile(connection: Connection, folder: Path, table: str, glob: str) -> TableProfile:
    contract = text_contract(table, glob, [])
    heads = extracts.heads(contract, folder)
    if any(head.is_json for head in heads):
        raise ExtractError(
            f"{glob}: is JSON lines, whose fields cannot be drafted. Write a contract that names each by its place, as "
            "delivered_as: /subject/reference (data_contracts/0_raw/fhir shows how), or convert it to CSV or Parquet."
        )
    header = next((head.rows.columns for head in heads), None)
    if header and len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise ExtractError(f"{glob}: its columns are not separated by commas. Save it as CSV with commas.")
    if header is None:
        raise ExtractError(f"{glob}: has no header that can be read. Save it with the column names in its first line.")
    identifying = identifiers.of_extract(connection, "draft", folder, [text_contract(table, glob, header)], Settings())
    # Loading refuses values that identify; a name alone may be that of a pseudonym.
    left_out = {finding.column for finding in identifying if finding.by != "name"}
    header = [name for name in header if name not in left_out]
    names = _unique_names(header)
    contract = text_contract(table, glob, header)
    loaded = extracts.load(connection, contract, "draft", folder)
    columns = [
        column
        for at in range(0, len(names), COLUMNS_AT_A_TIME)
        for column in _columns(
            connection, contract.table, names[at : at + COLUMNS_AT_A_TIME], header[at : at + COLUMNS_AT_A_TIME]
        )
    ]
    return TableProfile(table, glob, loaded.loaded_rows, loaded.quarantined_rows, tuple(columns), tuple(identifying))


def text_contract(table: str, glob: str, header: list[str]) -> Contract:
    """A contract by which every column loads as text."""
    return Contract.model_validate(
        {
            "table": f"raw_draft.{table}",
            "description": "A file to profile.",
            "key": [],
            "files": glob,
            "columns": [
                {"name": name, "type": "VARCHAR", "delivered_as": delivered, "description": "As delivered."}
                for name, delivered in zip(_unique_names(header), header, strict=True)
            ],
        }
    )


def _columns(
    connection: Connection, table: str, names: Sequence[str], delivered_as: Sequence[str]
) -> list[ColumnProfile]:
    """The profiles of some columns of a table."""
    different = "\nunion all\n".join(
        f"(select {place} as place, {sql_name(name)} as text, count(*) as row_count "
        f"from {table} where {sql_name(name)} is not null group by all)"
        for place, name in enumerate(names)
    )
    connection.execute(f"create or replace temp table value as {different}")
    fits = [
        f"bool_and(regexp_full_match(text, {sql_text(str(PATTERNS[type_]))}) and try_cast(text as {type_}) is not null)"
        for type_ in TYPES
    ]
    as_dates = [
        f"bool_and(regexp_full_match(trim(text), {sql_text(pattern)}) and {moment('text', date_format)} is not null)"
        for date_format, pattern in DATE_FORMATS.items()
    ]
    kinds = [f"avg(regexp_full_match(trim(text), {sql_text(pattern)})::integer)" for pattern in KINDS.values()]
    [[rows]] = connection.execute(f"select count(*) from {table}").fetchall()
    found = connection.execute(
        f"""select
            place,
            sum(row_count)::bigint,
            count(*),
            min(row_count),
            bool_or(regexp_full_match(trim(text), '0\\d+')),
            count(*) filter (where regexp_matches(lower(text), '(^|[^a-z])pain([^a-z]|$)')),
            {", ".join([*fits, *as_dates, *kinds])}
        from value
        group by place"""
    ).fetchall()
    told = {place: rest for place, *rest in found}
    nothing = [0, 0, None, None, 0, *[None] * (len(TYPES) + len(DATE_FORMATS) + len(KINDS))]
    drafts = []
    for place, (name, header) in enumerate(zip(names, delivered_as, strict=True)):
        filled, distinct, rarest, has_leading_zero, pain_values, *rest = told.get(place, nothing)
        type_fits, date_fits, shares = rest[: len(TYPES)], rest[len(TYPES) : -len(KINDS)], rest[-len(KINDS) :]
        type_ = next((type_ for type_, fit in zip(TYPES, type_fits, strict=True) if fit), "VARCHAR")
        date_formats = tuple(form for form, fit in zip(DATE_FORMATS, date_fits, strict=True) if fit)
        if type_ in ("INTEGER", "BIGINT", "DOUBLE") and (has_leading_zero or date_formats):
            type_ = "VARCHAR"
        is_listed = type_ in ("VARCHAR", "INTEGER") and 0 < distinct <= FEW_VALUES and rarest >= FEWEST_ROWS_OF_A_VALUE
        drafts.append(
            ColumnProfile(
                name=name,
                delivered_as=header,
                type=type_,
                rows=rows,
                filled_rows=filled,
                distinct_values=distinct,
                minimum=None,
                maximum=None,
                values=_values(connection, place) if is_listed else (),
                date_formats=date_formats,
                kinds={kind: share or 0.0 for kind, share in zip(KINDS, shares, strict=True)},
                opioid_values=0,
                pain_values=pain_values,
            )
        )
    ends, opioids = _ends(connection, drafts), _opioid_values(connection)
    return [
        replace(
            column,
            minimum=ends.get(place, (None, None))[0],
            maximum=ends.get(place, (None, None))[1],
            opioid_values=opioids.get(place, 0) if column.type == "VARCHAR" else 0,
        )
        for place, column in enumerate(drafts)
    ]


def _values(connection: Connection, place: int) -> tuple[str, ...]:
    values = connection.execute("select text from value where place = ? order by text", [place]).fetchall()
    return tuple(text for (text,) in values)


def _ends(connection: Connection, columns: Sequence[ColumnProfile]) -> dict[int, tuple[str, str]]:
    """Smallest and largest value of the columns of which these are no value of few rows, by place."""
    places: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        is_shared = column.filled_rows >= FEWEST_ROWS_OF_A_VALUE and column.distinct_values <= column.filled_rows / 2
        if column.type != "VARCHAR" and is_shared and not _numbers_people(column.name):
            places.setdefault(column.type, []).append(place)
    found = {}
    for type_, of_type in places.items():
        typed = f"try_cast(text as {type_})"
        for place, *ends in connection.execute(
            f"select place, min({typed})::varchar, max({typed})::varchar from value "
            "where list_contains(?, place) group by place",
            [of_type],
        ).fetchall():
            found[place] = (ends[0], ends[1])
    return found


def moment(text: str, date_format: str) -> str:
    """SQL for the time that a text tells; one with a time zone keeps the clock it was delivered with."""
    if date_format == INSTANT:
        return f"try_cast(regexp_replace(trim({text}), '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$', '') as timestamp)"
    return f"try_strptime(trim({text}), {sql_text(date_format)})"


def _numbers_people(name: str) -> bool:
    """Whether a column is called as one that tells people or records apart, whose ends are values of rows."""
    return bool(re.search(r"(^|_)(id|key|no|nr|number|mrn|phone|tel|fax|zip|ssn)\d*(_|$)|patient|person|member", name))


def _opioid_values(connection: Connection) -> dict[int, int]:
    """How many of its different values name an opioid, by a column's place."""
    found = connection.execute("select place, count(*) from value where names_opioid(text) group by place").fetchall()
    return dict(found)


def snake_case(name: str) -> str:
    """A name as contracts write it: lower case, words joined by underscores, a letter first."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    plain = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    named = plain if plain[:1].isalpha() else f"column_{plain}".rstrip("_")
    return f"{named}_value" if named in _reserved() else named


@cache
def _reserved() -> set[str]:
    rows = duckdb.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'").fetchall()
    return {word for (word,) in rows}


def _unique_names(header: list[str]) -> list[str]:
    names: list[str] = []
    for delivered in header:
        name = snake_case(delivered)
        names.append(name if name not in names else f"{name}_{len(names) + 1}")
    return names
