"""Drift: where the columns of a delivery are no longer those of the contract, seen before anything runs.

Read from the header and the first rows of every delivered file. A column that is gone, or whose values no longer
have its type, stops the run, with all of them in one message; one that is new, or that goes by another name where the
contract can do without, is worth a look. What the last published run was delivered beside its contract is not new.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import duckdb
import polars as pl

from pipelines import warehouse
from pipelines.contracts import Column, Contract
from pipelines.errors import ExtractError, WorkspaceError
from pipelines.extracts import heads
from pipelines.extracts.delivered import delivered_as, sql_name, sql_text
from pipelines.extracts.loading import PATTERNS
from pipelines.extracts.sample import Head, path_of
from pipelines.study import Study
from pipelines.workspace import Workspace

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
    before = _undeclared_before(study)
    with duckdb.connect() as connection:
        return [
            drift
            for source in sorted(study.sources)
            for contract in study.raw_contracts(source)
            for head in heads(contract, study.sources[source].folder)
            for drift in of(connection, contract, source, head, before.get(contract.table, ()))
        ]


def _undeclared_before(study: Study) -> Mapping[str, Collection[str]]:
    """Columns in small letters that the last published run was delivered and no contract declared, by raw table."""
    file = Workspace(study).current / "warehouse.duckdb"
    if not file.is_file():
        return {}
    try:
        with warehouse.opened(file, read_only=True, memory_limit=study.memory_limit) as connection:
            return dict(
                connection.execute(
                    """select 'raw_' || source || '.' || table_name, list_distinct(flatten(list(undeclared_columns)))
                    from (
                        select source, table_name, list_transform(undeclared_columns, lambda name: lower(name))
                            as undeclared_columns
                        from raw.delivery
                    )
                    group by all"""
                ).fetchall()
            )
    except (WorkspaceError, duckdb.Error):  # it is of an old version, or damaged: then every such column is new
        return {}


def lines(drifts: Sequence[Drift]) -> list[str]:
    """What a screen shows: a line for each difference, but one for all new columns of a file."""
    told = [f"{'critical' if drift.is_critical else 'warning'}: {drift}." for drift in drifts if drift.kind != "new"]
    new: dict[str, list[str]] = {}
    for drift in drifts:
        if drift.kind == "new":
            new.setdefault(drift.where, []).append(drift.column)
    for where, names in new.items():
        columns = "1 column" if len(names) == 1 else f"{len(names)} columns"
        told.append(f"warning: {where}: {columns} that the contract does not declare: {', '.join(names)}.")
    return told


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


def of(
    connection: duckdb.DuckDBPyConnection, contract: Contract, source: str, head: Head, before: Collection[str] = ()
) -> list[Drift]:
    """What one file's columns are that its contract does not say.

    Args:
        before: Columns, in small letters, that were delivered beside the declared ones before, so are not new.
    """
    if head.is_json:
        return _of_json(contract, source, head, before)
    declared = {delivered_as(column).lower(): column for column in contract.columns}
    delivered = {name.lower(): name for name in head.rows.columns}
    if not declared.keys() & delivered.keys():
        return []  # it is no header, which loading says better
    new = [name for name in delivered if name not in declared and name not in before]
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


def _of_json(contract: Contract, source: str, head: Head, before: Collection[str]) -> list[Drift]:
    """What fields JSON lines have that the contract does not say.

    A field without a value is mostly left out, so only one that every object must have is missed.
    """
    places = {delivered_as(column): path_of(delivered_as(column)) for column in contract.columns}
    is_there = {
        name: any(path == place or path.startswith(f"{place}.") for path in head.rows.columns)
        for name, place in places.items()
    }
    if not any(is_there.values()):
        return []  # loading says it better
    needed = [column for column in contract.columns if column.required or column.name in contract.key]
    gone = [name for name in map(delivered_as, needed) if not is_there[name]]
    known = {place.split(".")[0] for place in places.values()}
    tops = dict.fromkeys(path.split(".")[0] for path in head.rows.columns)
    new = [name for name in tops if name not in known and name.lower() not in before]
    return [Drift(source, contract.table, head.where, name, "gone", None, True) for name in gone] + [
        Drift(source, contract.table, head.where, name, "new", None, False) for name in new
    ]


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
