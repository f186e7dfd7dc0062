"""The row ledger as one Sankey diagram per source: delivered, loaded, in a common table, known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipelines import sql_files
from pipelines.quality import sankey
from pipelines.quality.sankey import Link, Node

# Outcomes by how they are drawn; what is not listed is a way out that is neither good nor bad.
KINDS = {
    "loaded": "kept",
    "clean": "kept",
    "dose_known": "known",
    "score_known": "known",
    "dose_unknown": "unknown",
    "score_unknown": "unknown",
    "quarantined": "rejected",
}
DELIVERED, LOADED, CLEAN, KNOWN = range(4)
COLUMNS = {"ingest": LOADED, "clean": CLEAN, "dose": KNOWN, "pain": KNOWN}
# From above: what the dose is made of, what pain is made of, then all else.
PLACES = ("prescription", "administration", "dose", "pain_score", "pain")
REASONS_SHOWN = 9  # of one column; the table below the diagram has all

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Diagram:
    """One source's rows.

    Attributes:
        looked_up: Delivered tables that no row is made of, with their rows: named below, not drawn.
    """

    source: str
    svg: Markup
    looked_up: list[tuple[str, int]]


def diagrams(ledger: Sequence[Row], label: Any) -> list[Diagram]:
    """Draw the rows of report.row_ledger.

    Args:
        ledger: Its rows. Of further looks at the same rows only what reached a common table is drawn.
        label: Says an outcome or reason in words.
    """
    return [
        _of_source(source, [row for row in ledger if row["source"] == source], label)
        for source in sorted({row["source"] for row in ledger})
    ]


def _of_source(source: str, ledger: Sequence[Row], label: Any) -> Diagram:
    looked_up = {row["table_name"]: row["row_count"] for row in ledger if row["outcome"] == "looked_up"}
    # Of several looks at a table, that for the clean table last in the alphabet is the step called clean.
    looks = [(mapping.table.split(".")[1], mapping) for mapping in sql_files.mappings(source)]
    fills = {raw.split(".")[1]: table for table, mapping in looks for raw in mapping.driving_tables}
    nodes: dict[str, Node] = {}
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    ways_out: defaultdict[tuple[int, str, str], int] = defaultdict(int)
    rows = [row for row in ledger if row["outcome"] not in ("entered", "looked_up")]
    further = [row for row in rows if row["step"] not in COLUMNS and row["outcome"] == "clean"]
    rows = [row for row in rows if row["step"] in COLUMNS]
    rows = [row for row in rows if row["step"] != "ingest" or row["table_name"] not in looked_up]
    for row in rows:
        ways_out[COLUMNS[row["step"]], row["outcome"], row["reason"]] += row["row_count"]
    shown = _most_frequent(ways_out)

    def node(name: str, says: str, column: int, kind: str, place: str | None) -> str:
        where = PLACES.index(place) if place in PLACES else len(PLACES)
        nodes.setdefault(name, Node(name, says, column, kind, where))
        return name

    for row in rows:
        step, table, outcome, reason = row["step"], row["table_name"], row["outcome"], row["reason"]
        column = COLUMNS[step]
        if step == "ingest":
            start = node(f"delivered {table}", table, DELIVERED, "kept", fills.get(table))
        elif step == "clean":
            start = f"loaded {table}"
        else:
            start = f"clean {table}"
        if outcome == "loaded":
            end = node(f"loaded {table}", "loaded", LOADED, "kept", fills.get(table))
        elif outcome == "clean":
            end = node(f"clean {fills[table]}", f"clean.{fills[table]}", CLEAN, "kept", fills[table])
        elif (column, outcome, reason) in shown:
            says = label(outcome) + (f": {label(reason)}" if reason else "")
            end = node(f"{column} {outcome} {reason}", says, column, KINDS.get(outcome, "left"), step)
        else:
            end = node(
                f"{column} {outcome} others",
                f"{label(outcome)}: other reasons",
                column,
                KINDS.get(outcome, "left"),
                step,
            )
        counts[start, end] += row["row_count"]
    for row in further:
        table = node(f"clean {row['step']}", f"clean.{row['step']}", CLEAN, "kept", row["step"])
        counts[f"loaded {row['table_name']}", table] += row["row_count"]
    links = [Link(start, end, count) for (start, end), count in counts.items() if count and start in nodes]
    title = (
        f"Where the rows of {source} went, from delivery to known doses and scores, with the counts of the table below."
    )
    return Diagram(source, sankey.svg(_ordered(nodes.values()), links, title), sorted(looked_up.items()))


def _most_frequent(ways_out: Mapping[tuple[int, str, str], int]) -> set[tuple[int, str, str]]:
    found: set[tuple[int, str, str]] = set()
    for column in (LOADED, CLEAN, KNOWN):
        of_column = [way for way in ways_out if way[0] == column and way[1] not in ("loaded", "clean")]
        found |= set(sorted(of_column, key=lambda way: -ways_out[way])[:REASONS_SHOWN])
    return found


def _ordered(nodes: Iterable[Node]) -> list[Node]:
    """Opioids above scores above the rest, so that few bands cross; what is kept above what is not."""
    kinds = ["kept", "known", "unknown", "left", "rejected"]
    return sorted(nodes, key=lambda node: (node.kind != "kept", node.place, kinds.index(node.kind)))
