"""Disclosure control: what of the report tables may leave the house.

No reader may work out a count from 1 to below ``min_cell_count``, whether a table shows it or not. To hide the small
counts is not enough where counts add up: 2,000 patients delivered less 1,996 that remain are four that left. The
contracts say what adds up to what (``adds_up``): within a table, between tables, and with counts that no table shows.
For every small count a mixed-integer programme then looks for other report tables that keep all those sums, agree in
every published number, and have this count at ``min_cell_count`` or more. Where numbers must differ for that, they
are hidden as well: as few as possible, then the smallest. A reader cannot tell those other tables from the true ones,
so cannot even tell that the count is small. They are in whole numbers and are checked exactly: they are the proof.

The reader is taken to know all but the hidden counts: the sums, that no count is negative, and that a hidden one is
not zero, since zeros are shown. Groups that overlap in ways nobody can know (the patients of tiers and of votes, where
one patient has several episodes) do not add up; their counts are judged one by one.

Source: the cell suppression problem for tables under any linear constraints, here solved for one small count after
the other (Fischetti and Salazar 2001, Management Science 47, "Solving the cell suppression problem on tabular data
with linear constraints").
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from pipelines.contracts import Contract, Sum
from pipelines.errors import ContractError

# A count in the sums: a cell (table, row, column), or the name of a count that no table shows.
Cell = tuple[str, int, str]
Count = Cell | str
Equation = tuple[Count, list[Count]]

# How far a count may be from its true value in the tables that prove another one safe, in multiples of
# min_cell_count. It keeps the programme well scaled; where it is too little, all that hangs together is hidden.
REACH = 100


@dataclass(frozen=True)
class Published:
    """One report table as it may be published.

    Attributes:
        frame: The table; NULL where a count is hidden, and where a value describes patients whose count is.
        small: Hidden counts, as (row, column), that may be called smaller than ``min_cell_count``: no published
            number hangs together with them, and at most one other hidden count. Of the rest not even that is said:
            1 and 11 that add up to 12 would be known from knowing which of the two is small.
    """

    frame: pl.DataFrame
    small: frozenset[tuple[int, str]]


def protect(
    tables: Mapping[str, pl.DataFrame], contracts: Iterable[Contract], min_cell_count: int
) -> dict[str, Published]:
    """Hide what must be hidden in tables that are published together.

    Args:
        tables: All tables that are published, by name, each with its contract's columns. Tables that are protected
            apart can give each other away.
        contracts: Their contracts.
        min_cell_count: Smallest count that is published; zero always is.

    Returns:
        The tables by name, without the columns that are never published.

    Raises:
        ContractError: A contract says that counts add up that do not.
    """
    known = {contract.table: contract for contract in contracts}
    cells = dict(_cells(tables, known))
    equations = [
        equation
        for table, frame in tables.items()
        for added in known[table].adds_up
        for equation in _equations(added, known[table], frame)
    ]
    values, equations = _solved(cells, equations)
    needs = _needs(values, known, min_cell_count)
    hidden = {count for count in needs if isinstance(count, tuple)}
    look_alikes: list[dict[Count, int]] = []
    for count, need in needs.items():
        if not any(other.get(count, 0) >= need for other in look_alikes):
            other = _look_alike(count, need, values, equations, hidden, REACH * min_cell_count)
            look_alikes.append(other)
            hidden |= {cell for cell in other if isinstance(cell, tuple) and other[cell] != values[cell]}
    small = {cell for cell in hidden if cells[cell] < min_cell_count and _stands_alone(cell, values, equations, hidden)}
    return {
        table: Published(
            _without(frame, known[table], {cell[1:] for cell in hidden if cell[0] == table}, min_cell_count),
            frozenset(cell[1:] for cell in small if cell[0] == table),
        )
        for table, frame in tables.items()
    }


def _cells(tables: Mapping[str, pl.DataFrame], known: Mapping[str, Contract]) -> Iterator[tuple[Cell, int]]:
    for table, frame in tables.items():
        for column in known[table].columns:
            if column.is_count and column.is_published:
                values = enumerate(frame[column.name])
                yield from (((table, row, column.name), value) for row, value in values if value is not None)


def _equations(added: Sum, contract: Contract, frame: pl.DataFrame) -> Iterator[Equation]:
    """What one entry of ``adds_up`` says of the rows of a table."""
    numbered = frame.with_row_index("row_number")
    row_before = {row: before for before, row in pairwise(numbered.sort(contract.key)["row_number"])}
    rows = numbered.filter(pl.sql_expr(added.where or "true"))
    if added.over is None:
        groups = list(rows.iter_slices(1))
    else:
        groups = rows.partition_by(added.over) if added.over else [rows]
    uses_row_before = any(term.startswith("previous.") for term in added.parts)

    def count(term: str, row: dict) -> Count:
        if " " in term:
            return term.format(**row)
        number = row["row_number"]
        return contract.table, row_before[number] if "." in term else number, term.removeprefix("previous.")

    for group in groups:
        drawn = [row for row in group.to_dicts() if row["row_number"] in row_before or not uses_row_before]
        if drawn:
            parts = dict.fromkeys(count(term, row) for row in drawn for term in added.parts)
            yield count(added.total, drawn[0]), list(parts)


def _solved(cells: dict[Cell, int], equations: list[Equation]) -> tuple[dict[Count, int], list[Equation]]:
    """Values of all counts, those that no table shows from the sums, and the sums whose counts all have one."""
    values: dict[Count, int] = {cell: value for cell, value in cells.items()}
    open_ones, closed = equations, []
    while True:
        still_open = []
        for total, parts in open_ones:
            unknown = [count for count in (total, *parts) if count not in values]
            if len(unknown) > 1:
                still_open.append((total, parts))
                continue
            if unknown:
                known_parts = sum(values[part] for part in parts if part in values)
                values[unknown[0]] = known_parts if unknown[0] == total else values[total] - known_parts
            if values[total] != sum(values[part] for part in parts) or min(values[c] for c in (total, *parts)) < 0:
                raise ContractError(
                    f"{_where(total, parts)}: does not add up as adds_up of its contract says. Correct adds_up."
                )
            closed.append((total, parts))
        if len(still_open) == len(open_ones):
            return values, closed
        open_ones = still_open


def _where(total: Count, parts: list[Count]) -> str:
    """Table and column of a sum, for messages; the counts themselves are not told."""
    return next((f"{count[0]}.{count[2]}" for count in (total, *parts) if isinstance(count, tuple)), str(total))


def _needs(values: dict[Count, int], known: Mapping[str, Contract], min_cell_count: int) -> dict[Count, int]:
    """What each count that must not be known has to be able to be, for all that is published.

    These are the small counts, and the counts that describe few patients (their episodes, their rows).
    """
    describes = {
        (table, column.name): column.withheld_with for table, contract in known.items() for column in contract.columns
    }

    def is_small(count: Count) -> bool:
        return 1 <= values.get(count, 0) < min_cell_count

    def describes_few(count: Count) -> bool:
        if isinstance(count, str):
            return False
        table, row, column = count
        return is_small((table, row, describes[table, column] or column))

    return {
        count: max(min_cell_count, value + 1)
        for count, value in values.items()
        if value and (is_small(count) or describes_few(count))
    }


def _look_alike(
    count: Count, need: int, values: dict[Count, int], equations: list[Equation], hidden: Set[Count], reach: int
) -> dict[Count, int]:
    """The nearest tables in which a count is what it needs to be able to be: values of all that hangs together.

    The variables are how much each count differs from its true value, and for each published one whether it differs.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    linked = _linked(count, equations, lambda other: values[other] > 0)
    counts = list(dict.fromkeys([count, *(other for total, parts in linked for other in (total, *parts))]))
    true = np.array([values[other] for other in counts])
    is_cell = np.array([isinstance(other, tuple) for other in counts])
    is_shown = is_cell & (true > 0) & np.array([other not in hidden for other in counts])

    least = np.where(is_cell, np.minimum(true, 1), 0) - true
    least[0] = need - true[0]
    most = np.where(is_cell & (true == 0), 0, reach)
    position = {other: number for number, other in enumerate(counts)}
    sums = np.zeros((len(linked), len(counts)), dtype=np.int64)
    for row, (total, parts) in enumerate(linked):
        sums[row, [position[part] for part in parts]] = 1
        sums[row, position[total]] -= 1

    shown = is_shown.sum()
    cost = 1 + true[is_shown].argsort().argsort() / max(shown, 1)
    differs, switch = np.eye(len(counts))[is_shown], reach * np.eye(shown)
    found = milp(
        np.concatenate([np.zeros(len(counts)), cost]),
        integrality=np.ones(len(counts) + shown),
        bounds=Bounds(np.concatenate([least, np.zeros(shown)]), np.concatenate([most, np.ones(shown)])),
        constraints=[
            LinearConstraint(np.hstack([sums, np.zeros((len(linked), shown))]), 0, 0),
            LinearConstraint(np.hstack([differs, -switch]), -np.inf, 0),
            LinearConstraint(np.hstack([differs, switch]), 0, np.inf),
        ],
    )
    solution = np.zeros(len(counts)) if found.x is None else found.x[: len(counts)]
    difference = np.rint(solution).astype(np.int64)
    if (sums @ difference).any() or (difference < least).any() or (difference > most).any():
        # Not found within reach. Multiples of the true counts always are such tables, with everything hidden.
        difference = true * (need - 1)
    return {other: int(value) for other, value in zip(counts, true + difference, strict=True)}


def _stands_alone(cell: Cell, values: dict[Count, int], equations: list[Equation], hidden: Set[Count]) -> bool:
    """No published number and at most one other hidden count hangs together with a hidden one."""
    linked = _linked(cell, equations, lambda count: isinstance(count, str) or count in hidden)
    counts = {count for total, parts in linked for count in (total, *parts)}
    cells = {count for count in counts if isinstance(count, tuple) and values[count]}
    return cells <= hidden and len(cells) <= 2


def _linked(start: Count, equations: list[Equation], passes: Callable[[Count], bool]) -> list[Equation]:
    """The sums that hang together with a count, from one to the next over the counts that pass."""
    found: list[Equation] = []
    seen, border, rest = {start}, {start}, equations
    while border:
        touched = [equation for equation in rest if not border.isdisjoint((equation[0], *equation[1]))]
        rest = [equation for equation in rest if border.isdisjoint((equation[0], *equation[1]))]
        found += touched
        border = {count for total, parts in touched for count in (total, *parts) if passes(count)} - seen
        seen |= border
    return found


def _without(
    frame: pl.DataFrame, contract: Contract, hidden: Set[tuple[int, str]], min_cell_count: int
) -> pl.DataFrame:
    """The table without hidden counts, without what describes their patients, without columns never published."""
    row = pl.int_range(pl.len())

    def rows_hidden(name: str | None) -> set[int]:
        column = next((column for column in contract.columns if column.name == name), None)
        if column is None or column.is_published:
            return {row for row, hidden_name in hidden if hidden_name == name}
        return {row for row, value in enumerate(frame[column.name]) if value and value < min_cell_count}

    return frame.select(
        pl.when(row.is_in(sorted(rows_hidden(column.name) | rows_hidden(column.withheld_with))).not_()).then(
            pl.col(column.name)
        )
        for column in contract.columns
        if column.is_published
    )
