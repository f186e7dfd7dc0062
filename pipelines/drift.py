"""Drift: where the columns of a delivery are no longer those of the contract, seen before anything runs.

Read from the header and the first rows of every delivered file. A column that is gone, or whose values no longer
have its type, stops the run, with all of them in one message; one that is new, or that goes by another name where the
contract can do without, is worth a look.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import duckdb
import polars as pl

from pipelines import contracts
from pipelines.contracts import Column, Contract
from pipelines.errors import ExtractError
from pipelines.extracts import heads
from pipelines.extracts.delivered import delivered_as, sql_name, sql_text
from pipelines.extracts.head import Head
from pipelines.extracts.loading import PATTERNS
from pipelines.study import Study

# Below so many values a column with slips would pass for one of another type.
FEWEST_VALUES = 10
MOST = 0.5
# Letters and digits that two names have in common, in order: 0.86 for fill_date and fill_dt, 0.5 for start_date and
# end_date.
LIKENESS = 0.8


@dataclass(frozen=True)
class Drift:
    """One difference between a delivered file and its contract.

    Attributes:
        where: The file, by its path below the extract's folder.
        column: The column as the contract has it delivered; of a new one as the file has it.
        kind: What became of it.
        now: Its new name, where it is renamed; what it holds now, where it is retyped.
        is_critical: The run cannot go on.
    """

    source: str
    table: str
    where: str
    column: str
    kind: Literal["new", "gone", "renamed", "retyped"]
    now: str | None
    is_critical: bool

    def __str__(self) -> str:
        said = {
            "new": f"column {self.column} is new",
            "gone": f"has no column {self.column}",
            "renamed": f"has no column {self.column}, but {self.now}, which looks like it",
            "retyped": f"column {self.column} now holds {self.now}",
        }
        return f"{self.where}: {said[self.kind]}"


def found(study: Study) -> list[Drift]:
    """Every difference between the delivered files of a study and their contracts, in the order of tables."""
    with duckdb.connect() as connection:
        return [
            drift
            for source in sorted(study.sources)
            for contract in contracts.raw_contracts(source)
            for head in heads(contract, study.sources[source].folder)
            for drift in of(connection, contract, source, head)
        ]


def lines(drifts: Sequence[Drift]) -> list[str]:
    """What a screen shows: a line for each difference, but one for all new columns of a file."""
    told = [f"{'critical' if drift.is_critical else 'warning'}: {drift}." for drift in drifts if drift.kind != "new"]
    new: dict[str, list[str]] = {}
    for drift in drifts:
        if drift.kind == "new":
            new.setdefault(drift.where, []).append(drift.column)
    return told + [f"warning: {where}: the contract does not know {', '.join(names)}." for where, names in new.items()]


def refuse(drifts: Iterable[Drift]) -> None:
    """Stop where a column that is needed is gone or cannot be read as its type.

    Raises:
        ExtractError: Names each file and column.
    """
    critical = [drift for drift in drifts if drift.is_critical]
    if critical:
        tables = ", ".join(dict.fromkeys(drift.table for drift in critical))
        renamed = " (delivered_as says a new name)" if any(drift.kind == "renamed" for drift in critical) else ""
        raise ExtractError(
            f"{'; '.join(map(str, critical))}. Deliver what the contract says, or correct the contract of "
            f"{tables}{renamed}."
        )


def of(connection: duckdb.DuckDBPyConnection, contract: Contract, source: str, head: Head) -> list[Drift]:
    """What one file's columns are that its contract does not say."""
    declared = {delivered_as(column).lower(): column for column in contract.columns}
    delivered = {name.lower(): name for name in head.rows.columns}
    if not declared.keys() & delivered.keys():
        return []  # it is no header, which loading says better
    new = [name for name in delivered if name not in declared]
    gone = [name for name in declared if name not in delivered]
    renamed = _renamed(connection, gone, new, list(declared.values()), list(delivered), head)

    def drift(
        column: str, kind: Literal["new", "gone", "renamed", "retyped"], is_critical: bool, now: str | None = None
    ) -> Drift:
        return Drift(source, contract.table, head.where, column, kind, now, is_critical)

    drifts = []
    for name in gone:
        column, is_needed = delivered_as(declared[name]), not declared[name].may_be_missing
        if name in renamed:
            drifts.append(drift(column, "renamed", is_needed, delivered[renamed[name]]))
        elif is_needed:
            drifts.append(drift(column, "gone", True))
    for name, held in _retyped(connection, declared, delivered, head):
        drifts.append(drift(delivered[name], "retyped", held != "fractions of numbers", held))
    return drifts + [drift(delivered[name], "new", False) for name in new if name not in renamed.values()]


def _renamed(
    connection: duckdb.DuckDBPyConnection,
    gone: Sequence[str],
    new: Sequence[str],
    declared: Sequence[Column],
    delivered: Sequence[str],
    head: Head,
) -> dict[str, str]:
    """New names by the gone ones that they may stand for: alike, or at the same place and of the same type."""
    names = [delivered_as(column).lower() for column in declared]
    spelled = {name.lower(): name for name in head.rows.columns}
    found: dict[str, str] = {}
    for name in gone:
        left = [other for other in new if other not in found.values()]
        likest = max(left, key=lambda other: _likeness(name, other), default=None)
        if likest and _likeness(name, likest) >= LIKENESS:
            found[name] = likest
    for name in (name for name in gone if name not in found):
        at_its_place = [
            other
            for other in new
            if other not in found.values() and _neighbours(delivered, other) == _neighbours(names, name)
        ]
        column = declared[names.index(name)]
        for other in at_its_place:
            if _share_unfit(connection, head.rows[spelled[other]], column.type) == 0:
                found[name] = other
    return found


def _likeness(name: str, other: str) -> float:
    plain, other_plain = ("".join(filter(str.isalnum, text)) for text in (name, other))
    return SequenceMatcher(None, plain, other_plain, autojunk=False).ratio()


def _neighbours(names: Sequence[str], name: str) -> tuple[str | None, str | None]:
    place = names.index(name)
    return names[place - 1] if place else None, names[place + 1] if place + 1 < len(names) else None


def _retyped(
    connection: duckdb.DuckDBPyConnection, declared: dict[str, Column], delivered: dict[str, str], head: Head
) -> Iterable[tuple[str, str]]:
    """Columns whose values no longer have the declared type, with what they are now."""
    for name in (name for name in declared if name in delivered):
        type_, type_now = declared[name].type, head.types.get(delivered[name])
        values = head.rows[delivered[name]]
        if type_ == "VARCHAR" and type_now in ("DOUBLE", "FLOAT"):
            yield name, "fractions of numbers"  # 00406 became 406.0
        elif (values.count() >= FEWEST_VALUES) and _share_unfit(connection, values, type_) > MOST:
            yield name, f"{type_now or 'text'} where most values are no {type_}"


def _share_unfit(connection: duckdb.DuckDBPyConnection, values: pl.Series, type_: str) -> float:
    """Share of the values that loading would send to quarantine for their type."""
    pattern = PATTERNS.get(type_)
    if pattern is None or not values.count():
        return 0.0
    connection.register("delivered_value", values.alias("value").to_frame())
    text = sql_name("value")
    fits = f"regexp_full_match({text}, {sql_text(pattern)}) and try_cast({text} as {type_}) is not null"
    [[share]] = connection.execute(f"select avg(({fits})::int) from delivered_value where value is not null").fetchall()
    connection.unregister("delivered_value")
    return 1 - share
