"""Disclosure control: what of the report tables may leave the house.

No reader may work out a count from 1 to below ``min_cell_count``, whether a table shows it or not. To hide the small
counts is not enough where counts add up: 2,000 patients delivered less 1,996 that remain are four that left. The
contracts say what adds up to what (``adds_up``): within a table, between tables, and with counts that no table shows.

For every small count a linear programme looks for look-alikes: other report tables that keep all those sums and agree
in every published number. Where a number must differ for that, it is hidden as well, as few as need be. A reader
cannot tell a look-alike from the true tables. Two are asked for:

- one in which the count is ``min_cell_count`` or more, so that a reader cannot even tell that it is small;
- one in which it is another small count and every count keeps its size (zero, small, larger), so that it stays unknown
  to a reader who tells from what is hidden which counts are small.

Some columns say of a hidden count that it is small (``shows_small``). There the first kind is asked for with 1 and
with the largest small count.

Which number is hidden beside a small one depends on its place, not on its value: had it been the next smallest, a
reader would know that no published one is smaller. Look-alikes are whole numbers and checked exactly: the proof.

The reader is taken to know all but the hidden counts: the sums, that no count is negative, and that a hidden one is
not zero, since zeros are shown. Groups that overlap in ways nobody can know (the patients of tiers and of votes, where
one patient has several episodes) do not add up; their counts are judged one by one.

Source: complementary cell suppression by linear programming, one small count after the other (Zayatz 1992, Bureau of
the Census, Statistical Research Division Report RR-92/02), for tables linked by any linear constraints (Fischetti and
Salazar 2001, Management Science 47, "Solving the cell suppression problem on tabular data with linear constraints").
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
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
Span = tuple[float, float]

UNBOUNDED = float("inf")
INFEASIBLE = 2  # status of scipy.optimize.linprog


@dataclass(frozen=True)
class Published:
    """One report table as it may be published.

    Attributes:
        frame: The table; NULL where a count is hidden, and where a value describes patients whose count is.
        small: Hidden counts, as (row, column), of which may be said that they are below ``min_cell_count``. Columns
            whose contract says ``shows_small`` have them, whatever the numbers are. Of other hidden counts not even
            that is said: 1 and 11 that add up to 12 are known to who knows which of the two is small.
    """

    frame: pl.DataFrame
    small: frozenset[tuple[int, str]]


def protect(
    tables: Mapping[str, pl.DataFrame], contracts: Iterable[Contract], min_cell_count: int
) -> dict[str, Published]:
    """Hide what must be hidden in tables that are published together.

    Args:
        tables: All tables that are published, by name, each with its contract's columns. Tables that are protected
            apart can give each other away. Where one of several cells can be hidden as well, a later row's is, then
            a later column's.
        contracts: Their contracts.
        min_cell_count: Smallest count that is published; zero always is.

    Returns:
        The tables by name, without the columns that are never published.

    Raises:
        ContractError: A contract says that counts add up that do not.
    """
    known = {contract.table: contract for contract in contracts}
    equations = [
        equation
        for table, frame in tables.items()
        for added in known[table].adds_up
        for equation in _equations(added, known[table], frame)
    ]
    sums = _solved(list(_cells(tables, known)), equations)
    needs = _needs(sums, known, min_cell_count)
    hidden = {count for count in needs if isinstance(count, tuple)}
    shows_small = {(table, column.name) for table in known for column in known[table].columns if column.shows_small}
    small = {cell for cell in hidden if (cell[0], cell[2]) in shows_small and sums.values[cell] < min_cell_count}
    largest_small = min_cell_count - 1

    def own_size(count: Count) -> Span:
        """The counts of the same size: zero, small, larger."""
        if sums.values[count] == 0:
            return 0, 0
        return (1, largest_small) if sums.values[count] <= largest_small else (min_cell_count, UNBOUNDED)

    def any_size(count: Count) -> Span:
        """What a reader has to think possible: zeros are published, and in some columns what is small."""
        if isinstance(count, str):
            return 0, UNBOUNDED
        is_told = sums.values[count] == 0 or (count[0], count[2]) in shows_small
        return own_size(count) if is_told else (1, UNBOUNDED)

    could_be_large: list[tuple[Count, list[Span]]] = []
    for count, need in needs.items():
        if count in small:
            could_be_large += [(count, [(1, 1)]), (count, [(largest_small, largest_small)])]
        else:
            could_be_large += [(count, [(need, UNBOUNDED)])]
    _hide_more(sums, hidden, any_size, could_be_large)
    could_be_another: list[tuple[Count, list[Span]]] = [
        (count, [(1, sums.values[count] - 1), (sums.values[count] + 1, largest_small)])
        for count in needs
        if sums.values[count] <= largest_small
    ]
    _hide_more(sums, hidden, own_size, could_be_another)
    return {
        table: Published(
            _without(frame, known[table], {cell[1:] for cell in hidden if cell[0] == table}, min_cell_count),
            frozenset(cell[1:] for cell in small if cell[0] == table),
        )
        for table, frame in tables.items()
    }


@dataclass(frozen=True)
class _Sums:
    """What adds up to what.

    Attributes:
        values: True values of all counts.
        equations: Totals with their parts.
        places: Place of every cell in its table, row by row.
    """

    values: dict[Count, int]
    equations: list[Equation]
    places: dict[Count, int]

    def linked(self, start: Count) -> list[Equation]:
        """The sums that hang together with a count, from one to the next over all counts but zeros that tables show."""
        found: list[Equation] = []
        seen, border, rest = {start}, {start}, self.equations
        while border:
            touched = [equation for equation in rest if not border.isdisjoint((equation[0], *equation[1]))]
            rest = [equation for equation in rest if border.isdisjoint((equation[0], *equation[1]))]
            found += touched
            border = {count for count in self.counts(touched) if isinstance(count, str) or self.values[count]} - seen
            seen |= border
        return found

    @staticmethod
    def counts(equations: list[Equation]) -> list[Count]:
        return [count for total, parts in equations for count in (total, *parts)]

    def differing(self, look_alike: dict[Count, int]) -> set[Cell]:
        return {cell for cell in look_alike if isinstance(cell, tuple) and look_alike[cell] != self.values[cell]}


def _hide_more(
    sums: _Sums, hidden: set[Cell], allowed: Callable[[Count], Span], could_be: Iterable[tuple[Count, Sequence[Span]]]
) -> None:
    """Hide cells until there are tables, alike to a reader, in which every count lies in one of its spans."""
    found = [sums.values]
    for count, spans in could_be:
        spans = [(low, high) for low, high in spans if low <= high]
        if any(low <= other.get(count, -1) <= high for other in found for low, high in spans):
            continue
        tried = [_look_alike(sums, hidden, allowed, count, span) for span in spans]
        look_alikes = [other for other in tried if other is not None]
        # None at all: what columns say of small counts keeps this one small, and hiding more cannot change that.
        if look_alikes:
            nearest = min(look_alikes, key=lambda other: len(sums.differing(other) - hidden))
            hidden |= sums.differing(nearest)
            found.append(nearest)


def _look_alike(
    sums: _Sums, hidden: Set[Cell], allowed: Callable[[Count], Span], count: Count, span: Span
) -> dict[Count, int] | None:
    """The nearest tables in which a count lies in a span, or None: values of all that hangs together with it.

    The variables are how far each count is above and below its true value. Only what is published has a price, so the
    fewest published numbers move. The best corner of such a programme nearly always has whole numbers; where it has
    not, whole numbers are asked for.
    """
    from scipy.optimize import linprog

    linked = sums.linked(count)
    counts = list(dict.fromkeys([count, *sums.counts(linked)]))
    position = {other: number for number, other in enumerate(counts)}
    balance = np.zeros((len(linked), len(counts)))
    for row, (total, parts) in enumerate(linked):
        balance[row, [position[part] for part in parts]] = 1
        balance[row, position[total]] -= 1
    true = np.array([sums.values[other] for other in counts])
    spans = np.array([span, *(allowed(other) for other in counts[1:])])
    least, most = spans.T - true
    up = np.column_stack([np.maximum(least, 0), np.maximum(most, 0)])
    down = np.column_stack([np.maximum(-most, 0), np.maximum(-least, 0)])
    # What is hidden anyway is nearly free; of what is published, a later place is the cheaper.
    is_free = [isinstance(other, str) or other in hidden for other in counts]
    price = np.where(is_free, 1e-4, [1 + 1 / (1 + sums.places.get(other, 0)) for other in counts])
    for integrality in (0, 1):
        solved = linprog(
            np.tile(price, 2),
            A_eq=np.hstack([balance, -balance]),
            b_eq=np.zeros(len(linked)),
            bounds=np.vstack([up, down]),
            integrality=integrality,
        )
        if solved.status == INFEASIBLE:
            return None
        if solved.x is None:
            continue
        difference = np.rint(solved.x[: len(counts)] - solved.x[len(counts) :])
        if not (balance @ difference).any() and (least <= difference).all() and (difference <= most).all():
            return {other: int(value) for other, value in zip(counts, true + difference, strict=True)}
    raise ArithmeticError(f"No look-alike in whole numbers was found ({solved.message})")


def _cells(tables: Mapping[str, pl.DataFrame], known: Mapping[str, Contract]) -> Iterator[tuple[Cell, int, int]]:
    """Counts that are published, with their value and their place in their table, row by row."""
    for table, frame in tables.items():
        counts = [column.name for column in known[table].columns if column.is_count and column.is_published]
        for number, row in enumerate(frame.select(counts).iter_rows()):
            for place, (name, value) in enumerate(zip(counts, row, strict=True), start=number * len(counts)):
                if value is not None:
                    yield (table, number, name), value, place


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


def _solved(cells: list[tuple[Cell, int, int]], equations: list[Equation]) -> _Sums:
    """Values of all counts, those that no table shows from the sums; sums in which one stays unknown are left out."""
    values: dict[Count, int] = {cell: value for cell, value, _ in cells}
    rest, solved = equations, []
    while True:
        still_open = []
        for total, parts in rest:
            unknown = [count for count in (total, *parts) if count not in values]
            if len(unknown) > 1:
                still_open.append((total, parts))
                continue
            if unknown:
                known_parts = sum(values[part] for part in parts if part in values)
                values[unknown[0]] = known_parts if unknown[0] == total else values[total] - known_parts
            if values[total] != sum(values[part] for part in parts) or min(values[part] for part in parts) < 0:
                where = [f"{count[0]}.{count[2]}" for count in (total, *parts) if isinstance(count, tuple)]
                raise ContractError(f"{where[0]}: does not add up as adds_up of its contract says. Correct adds_up.")
            solved.append((total, parts))
        if len(still_open) == len(rest):
            return _Sums(values, solved, {cell: place for cell, _, place in cells})
        rest = still_open


def _needs(sums: _Sums, known: Mapping[str, Contract], min_cell_count: int) -> dict[Count, int]:
    """The counts that must not be known, each with what a reader has to think it can be.

    These are the small counts, and the counts that describe few patients (their episodes, their rows).
    """
    describes = {
        (table, column.name): column.withheld_with or column.name
        for table, contract in known.items()
        for column in contract.columns
    }

    def is_small(count: Count) -> bool:
        return 1 <= sums.values.get(count, 0) < min_cell_count

    def describes_few(count: Count) -> bool:
        return isinstance(count, tuple) and is_small((*count[:2], describes[count[0], count[2]]))

    return {
        count: max(min_cell_count, value + 1)
        for count, value in sums.values.items()
        if value and (is_small(count) or describes_few(count))
    }


def _without(
    frame: pl.DataFrame, contract: Contract, hidden: Set[tuple[int, str]], min_cell_count: int
) -> pl.DataFrame:
    """The table without hidden counts, without what describes their patients, without columns never published."""
    row = pl.int_range(pl.len())
    rows_hidden = {
        column.name: {row for row, name in hidden if name == column.name}
        if column.is_published
        else {row for row, value in enumerate(frame[column.name]) if value and value < min_cell_count}
        for column in contract.columns
    }
    return frame.select(
        pl.when(~row.is_in(rows_hidden[column.name] | rows_hidden.get(column.withheld_with or "", set()))).then(
            column.name
        )
        for column in contract.columns
        if column.is_published
    )
