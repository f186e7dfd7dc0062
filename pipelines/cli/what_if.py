"""``oih what-if``."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table as RichTable

from pipelines import evidence, flat_file, reporting
from pipelines import study as studies
from pipelines.cli.console import StudyFile, console
from pipelines.workspace import Workspace

LINES_SHOWN = 20


def what_if(
    study: StudyFile,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="SETTING=VALUE", help="Another threshold, e.g. weak_rise_nrs=1.5.")
    ],
    out: Annotated[Path | None, typer.Option(help="CSV or Parquet to write every episode that moves to.")] = None,
) -> None:
    """Show who changes tier, and why, under other settings of rules and tiers. Prints row values: keep it inside.

    The last run stays as it is.
    """
    from pipelines import what_if as moves

    loaded = studies.load(study)
    if out:
        Workspace(loaded).refuse_inside(out)
        flat_file.require_writable(out, study)
    found = moves.of(loaded, moves.parse(settings))
    console.print("Counts are exact. Keep them inside.")
    for name, (before, after) in found.settings.items():
        console.print(f"{name}: {before} in the run, here {after}", highlight=False)
    for (kind,), counts in found.tiers.group_by("index_kind", maintain_order=True):
        console.print(_matrix(reporting.label(str(kind), "index_kind"), counts))
    moved = found.reasons.n_unique("episode_id")
    console.print(
        f"{moved:,} episodes move; {found.revoted_count:,} votes change, those of episodes that stay included."
    )
    if out:
        flat_file.write(found.reasons, out)
        console.print(f"Episodes, which stay inside: {out}", soft_wrap=True)
        return
    if moved:
        shown = RichTable(title="Who moves", title_justify="left")
        for column in ("Episode", "Tier", "Rule", "Vote", "Because"):
            shown.add_column(column, overflow="fold")
        for row in found.reasons.head(LINES_SHOWN).iter_rows(named=True):
            shown.add_row(row["episode_id"], _tiers(row), row["rule"], _votes(row), _because(row))
        console.print(shown)
    if len(found.reasons) > LINES_SHOWN:
        console.print(f"{len(found.reasons) - LINES_SHOWN:,} more lines. See --out.")


def _matrix(title: str, counts: pl.DataFrame) -> RichTable:
    """Episodes by their tier in the run, downwards, and under the other settings, across."""
    across = counts["tier_after"].unique().sort().to_list()
    shown = RichTable("In the run", title=title, title_justify="left")
    for tier in across:
        shown.add_column(reporting.label(tier, "tier"), justify="right", overflow="fold")
    for (tier,), row in counts.group_by("tier_before", maintain_order=True):
        found = dict(row.select("tier_after", "episode_count").iter_rows())
        shown.add_row(reporting.label(str(tier), "tier"), *(f"{found.get(after, 0):,}" for after in across))
    return shown


def _tiers(row: dict[str, Any]) -> str:
    return " to ".join(reporting.label(row[f"tier_{when}"], "tier") for when in ("before", "after"))


def _votes(row: dict[str, Any]) -> str:
    if row["rule"] is None:
        return ""
    return " to ".join(
        evidence.vote_words(*(row[f"{part}_{when}"] for part in ("vote", "strength", "abstain_reason")))
        for when in ("before", "after")
    )


def _because(row: dict[str, Any]) -> str:
    """The evidence that another threshold, or another value, made another; without one, the settings."""
    if row["name"] is None:
        return row["settings"]
    value, threshold = (
        " to ".join(dict.fromkeys(evidence.number(row[f"{of}_{when}"]) for when in ("before", "after")))
        for of in ("value", "threshold")
    )
    return f"{row['name']}: {value} {row['unit']}; threshold {threshold}"
