"""The screen for identifiers: what an extract must not hold, looked for before any of it is loaded.

Every delivered column is judged, declared or not, by its name and by its distinct values, against the cited tables
``reference.identifier_name`` and ``reference.identifier_pattern``. A column that is found is refused unless a contract
accepts it, kind by kind, with a written reason. What is found is told by column, kind and share, never by value.

A file of up to 8 MB of text, or of 200,000 rows, is looked at whole, a longer one all over, but not in full. What is
loaded of it is looked at in full as it is loaded (pipelines.extracts.value_screen), so a rare value can be missed only
in a column that no contract declares, which never reaches the warehouse.

The screen finds what looks like an identifier. It cannot show that there is none: a pseudonym that is a disguised
record number, or a name in a column of drugs, looks like neither.
"""

import datetime
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import polars as pl

from pipelines import extracts, identifier_patterns, paths
from pipelines.contracts import Contract
from pipelines.errors import IdentifierError
from pipelines.extracts import sample, value_screen
from pipelines.extracts.delivered import NDJSON_SUFFIXES, sql_name, sql_text
from pipelines.settings import Settings
from pipelines.study import Study
from pipelines.warehouse import Connection

NAME_CHARACTERS = 200  # of a column's name; a longer one is a row that passes for a header
DAY = r"^(\d{4}-\d{2}-\d{2}|\d{1,2}([/.-])\d{1,2}[/.-]\d{4})"
AGE_TEXT = r"^(\d{1,3}(?:\.\d+)?) ?(?:y|years?|yrs?|yo|y/o|jahre?|ans?|años|anni)\.?(?: old)?$"
AGE, BIRTH, FREE_TEXT = "age", "birth_year", "free_text"


@dataclass(frozen=True)
class Finding:
    """A delivered column that looks identifying.

    Attributes:
        file: Path below the extract's folder.
        column: Its name as delivered; its place where the name itself may be a value.
        kind: Which identifier it looks like, as the reference tables call it.
        by: What told it.
        value_count: Distinct values that look so, of ``distinct_count`` looked at.
        reason: Why the contract accepts it; None if it does not.
    """

    source: str
    file: str
    column: str
    kind: str
    by: str
    value_count: int
    distinct_count: int
    reason: str | None = None

    @property
    def share(self) -> float:
        return self.value_count / self.distinct_count if self.distinct_count else 0.0


def screen(connection: Connection, study: Study) -> list[Finding]:
    """Everything in a study's extracts that looks identifying, accepted or not, by source, file and column.

    Args:
        connection: Allowed to read the folders of the extracts.
    """
    return [
        finding
        for source, delivered in sorted(study.sources.items())
        for finding in of_extract(
            connection,
            source,
            delivered.folder,
            study.raw_contracts(source),
            study.settings,
            has_ages=delivered.dates != "shifted",
        )
    ]


def of_extract(
    connection: Connection,
    source: str,
    folder: Path,
    tables: Iterable[Contract],
    settings: Settings,
    has_ages: bool = True,
) -> list[Finding]:
    """Everything in one extract that looks identifying, accepted or not, by file and column.

    Args:
        connection: Allowed to read the folder.
        has_ages: The years of birth are real, so that they tell who is over 89.
    """
    found: list[Finding] = []
    latest_year: int | None = None
    births: list[tuple[Contract, Finding, list[int]]] = []
    for contract in tables:
        for where, path in extracts.delivered_files(connection, contract, folder).items():
            looked = _look(connection, contract, where, path, settings)
            found += [_accepted(finding, contract) for finding in looked.findings]
            births += [(contract, finding, years) for finding, years in looked.births]
            latest_year = max(filter(None, (latest_year, looked.latest_year)), default=None)
    for contract, finding, years in births if has_ages else ():
        if aged := _aged(finding, years, latest_year, settings):
            found.append(_accepted(aged, contract))
    return sorted(found, key=lambda finding: (finding.file, finding.column, finding.kind))


def refuse(findings: Sequence[Finding]) -> None:
    """Refuse extracts with what no contract accepts.

    Raises:
        IdentifierError: Names every file, column and kind in one line.
    """
    refused = [finding for finding in findings if finding.reason is None]
    if not refused:
        return
    listed = "; ".join(
        f"{finding.file}: column {finding.column} ({finding.kind}, by {finding.by})" for finding in refused
    )
    raise IdentifierError(f"{listed}. {value_screen.ADVICE}")


@dataclass(frozen=True)
class _Looked:
    """What one file came to.

    Attributes:
        births: Columns that date births, each with its distinct years; judged once the latest year is known.
        latest_year: Of the dates of other columns.
    """

    findings: list[Finding]
    births: list[tuple[Finding, list[int]]]
    latest_year: int | None


def _look(connection: Connection, contract: Contract, where: str, path: Path, settings: Settings) -> _Looked:
    source = contract.schema_name.removeprefix("raw_")
    rows = sample.of(connection, contract, path)
    rows = rows.select(name for name, type_ in rows.schema.items() if type_ == pl.String)
    if not rows.width:
        return _Looked([], [], None)
    delivered = [name.strip()[:NAME_CHARACTERS] for name in rows.columns]
    rows.columns = [f"c{place}" for place in range(rows.width)]  # a delivered name may be anything
    counts = _value_counts(connection, rows, settings)
    findings: dict[tuple[str, str], Finding] = {}
    births: list[tuple[Finding, list[int]]] = []
    years: list[int] = []
    is_json = where.lower().endswith(NDJSON_SUFFIXES)
    for place, (column, told) in enumerate(zip(delivered, counts, strict=True), 1):
        distinct = told["distinct_count"]
        shown = (
            column if re.search(r"[A-Za-z]", column) and not identifier_patterns.is_value(column) else f"number {place}"
        )
        passed = {"url"} if is_json and identifier_patterns.names_definition(column) else set()
        by_name = {row["kind"]: told[f"name_{row['number']}"] for row in _names_of(column) if row["kind"] not in passed}
        is_birth = BIRTH in by_name
        if not is_birth and told["latest_year"]:
            years.append(told["latest_year"])
        for kind, value_count in by_name.items():
            finding = Finding(source, where, shown, kind, "name", value_count, distinct)
            if kind == BIRTH:
                births.append((finding, told["years"]))
            elif value_count and (kind != AGE or _is_ungrouped(told["high_ages"], settings)):
                findings[column, kind] = replace(finding, by="name and values") if kind == AGE else finding
        for kind, value_count in _kinds_by_pattern(told, settings):
            if (column, kind) not in findings and kind not in passed:
                findings[column, kind] = Finding(source, where, shown, kind, "pattern", value_count, distinct)
    return _Looked(list(findings.values()), births, max(years, default=None))


def _value_counts(connection: Connection, rows: pl.DataFrame, settings: Settings) -> list[dict]:
    """Per column, how many of its distinct values look like what, in one pass over the distinct values of all."""
    connection.register("sampled", rows)
    limit = settings.identifier_value_count
    # A value without a letter or digit is a mask, such as ___.
    texts = " union all ".join(
        f"(select distinct {place} as place, {sql_name(name)} as text from sampled)"
        for place, name in enumerate(rows.columns)
    )
    values = f"""
        select place, value
        from (select distinct place, trim({identifier_patterns.plain("text")}) as value from ({texts}))
        where value similar to '.*[A-Za-z0-9].*'
        qualify row_number() over (partition by place order by hash(value)) <= {limit}"""
    filled = ", ".join(f"count({sql_name(name)})" for name in rows.columns)
    patterns = ",\n".join(
        f"count(*) filter ({identifier_patterns.matches('value', row)}) as pattern_{row['pattern_number']}"
        for row in identifier_patterns.patterns()
    )
    name_values = sorted({row["value_pattern"] or "" for row in _names()})
    by_name = ",\n".join(
        f"count(*) filter (regexp_matches(value, {sql_text(pattern)})) as name_value_{number}"
        for number, pattern in enumerate(name_values)
    )
    year = f"regexp_extract(regexp_extract(value, {sql_text(DAY)}), '\\d{{4}}')"
    age = (
        f"coalesce(try_cast(value as double), try_cast(regexp_extract(value, {sql_text(AGE_TEXT)}, 1, 'i') as double))"
    )
    limit_age = settings.oldest_age_years
    try:
        [filled_rows] = connection.execute(f"select {filled} from sampled").fetchall()
        found = connection.sql(
            f"""
            select
                place, count(*) as distinct_count, {patterns}, {by_name},
                median(len(string_split_regex(value, '\\s+'))) as words,
                max(try_cast(nullif({year}, '') as integer))
                    filter ({year} <= '{datetime.datetime.now(datetime.UTC).year}') as latest_year,
                list(distinct {age}) filter ({age} > {limit_age}) as high_ages,
                list(distinct try_cast(regexp_extract(value, '\\d{{4}}') as integer))
                    filter (regexp_matches(value, '\\d{{4}}')) as years
            from ({values})
            group by place
            """
        ).pl()
    finally:
        connection.unregister("sampled")
    by_place = {row["place"]: row for row in found.to_dicts()}
    nothing = dict.fromkeys(found.columns, 0) | {"high_ages": [], "years": [], "words": 0}
    told = []
    for place, filled_count in enumerate(filled_rows):
        row = by_place.get(place, nothing) | {"filled_count": filled_count}
        row |= {
            f"name_{name['number']}": row[f"name_value_{name_values.index(name['value_pattern'] or '')}"]
            for name in _names()
        }
        told.append(row | {"high_ages": row["high_ages"] or [], "years": row["years"] or []})
    return told


def _kinds_by_pattern(told: dict, settings: Settings) -> Iterator[tuple[str, int]]:
    distinct = told["distinct_count"]
    for row in identifier_patterns.patterns():
        value_count = told[f"pattern_{row['pattern_number']}"]
        is_many = value_count >= settings.identifier_min_values
        is_many = is_many and value_count >= settings.identifier_min_share * distinct
        if is_many or (value_count and identifier_patterns.is_specific(row)):
            yield row["kind"], value_count
    is_mostly_distinct = distinct >= max(2 * settings.identifier_min_values, told["filled_count"] / 2)
    if is_mostly_distinct and told["words"] >= settings.free_text_words:
        yield FREE_TEXT, distinct


def _is_ungrouped(ages: Iterable[float], settings: Settings) -> bool:
    """Whether ages above the limit are told apart: grouped ones are one value, just above it (90, or 91 as MIMIC)."""
    above = {age for age in ages if age > settings.oldest_age_years}
    return bool(above) and (len(above) > 1 or max(above) > settings.oldest_age_years + 2)


def _aged(finding: Finding, years: list[int], latest_year: int | None, settings: Settings) -> Finding | None:
    """The finding of a column of births, where dates are real; shifted ones tell no age but the one at an event.

    Ages are those in the latest year that the source's dates reach, births among them; dates to come are left out: a
    valid-until is one.
    """
    this_year = datetime.datetime.now(datetime.UTC).year
    latest_year = max([latest_year or 0, *(year for year in years if year <= this_year)], default=0)
    ages = {latest_year - year for year in years if year <= latest_year}
    if not _is_ungrouped(ages, settings):
        return None
    above = sum(age > settings.oldest_age_years for age in ages)
    return replace(finding, by="name and values", value_count=above, distinct_count=len(years))


def _accepted(finding: Finding, contract: Contract) -> Finding:
    for accepted in contract.accepted_identifiers:
        if (accepted.column.casefold(), accepted.kind) == (finding.column.casefold(), finding.kind):
            return replace(finding, reason=accepted.reason)
    return finding


def words(name: str) -> str:
    """A column's name as words in small letters, parted by blanks: patientLastName is patient last name.

    Letters are without their accents: Prénom is prenom.
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return " ".join(re.findall(r"[a-z0-9]+", parted.casefold()))


def _names_of(column: str) -> list[dict[str, str]]:
    """Rows of ``reference.identifier_name`` that a column's name meets, the first of each kind."""
    name = words(column)
    # The first of several is none the less one: address1, phone_2. But zip3 is a word of its own.
    spellings = {name, re.sub(r"(?<=[a-z])\d+\b", "", name).strip(), re.sub(r"( \d+|(?<=[a-z])\d+)+$", "", name)}
    met = [
        row
        for row in _names()
        if row["word"] in spellings
        or (row["is_whole_name"] != "true" and any(f" {row['word']} " in f" {spelling} " for spelling in spellings))
    ]
    # The address in ip_address is none of a house.
    longest = [row for row in met if not any(_is_within(row["word"], other["word"]) for other in met)]
    return list({row["kind"]: row for row in reversed(longest)}.values())


def _is_within(word: str, other: str) -> bool:
    return word != other and f" {word} " in f" {other} "


@cache
def _names() -> list[dict]:
    return _reference("identifier_name")


def _reference(name: str) -> list[dict]:
    rows = pl.read_csv(paths.SQL / "1_reference" / f"{name}.csv", infer_schema=False)
    return rows.with_row_index("number").to_dicts()
