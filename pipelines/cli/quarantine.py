"""``oih quarantine list``, ``show``, ``reprocess`` and ``forget``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable
from rich.text import Text

from pipelines import study as studies
from pipelines.cli.console import StudyFile, console
from pipelines.errors import PipelineError

quarantine = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rows that no table could take: count them, show them, feed them back corrected. Inside only.",
)


@quarantine.command("list")
def list_quarantine(study: StudyFile) -> None:
    """Count the rejected rows of the last run by source, table, rule and column."""
    from pipelines import quarantine as rejected

    counts = rejected.counts(studies.load(study))
    shown = RichTable()
    for heading in ("Step", "Source", "Table", "For", "Rule", "Column", "Rows"):
        shown.add_column(heading, overflow="fold")  # a rule is to be typed as it stands
    for *place, count in counts.iter_rows():
        shown.add_row(*map(str, place), f"{count:,}")
    console.print(shown if len(counts) else "No row is in quarantine.")


@quarantine.command("show")
def show_quarantine(
    study: StudyFile,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Rule, as in oih quarantine list.")],
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    table: Annotated[str | None, typer.Option(help="Of this delivered table only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show of each table.")] = 10,
    out: Annotated[
        Path | None, typer.Option(help="CSV or Parquet to write all of them to, as delivered, to correct them there.")
    ] = None,
) -> None:
    """Show rejected rows of one rule. Prints row values: keep it inside."""
    from pipelines import flat_file
    from pipelines import quarantine as rejected

    loaded = studies.load(study)
    if out:
        flat_file.require_writable(out, study)
    found = rejected.rows(loaded, rule, source, table)
    if out:
        if len(found) > 1:
            raise PipelineError(f"{out}: {', '.join(found)} have such rows. Choose one with --source and --table.")
        [rows] = found.values()
        flat_file.write(rows, out)
        console.print(f"{len(rows):,} rows of the extract, which stay inside: {out}", soft_wrap=True)
        return
    console.print("These are rows of the extract. Keep them inside.")
    for name, rows in found.items():
        for row in rows.head(limit).iter_rows(named=True):
            place = f"{name}: record {row['source_row']} of {row['source_file']}, {row['column_name'] or 'whole row'}"
            shown = RichTable("Column", "As delivered", title=Text(place), title_justify="left")
            for column, value in list(row.items())[len(rejected.ABOUT) :]:
                if value is not None:
                    shown.add_row(column, Text(value))
            console.print(shown)
        if len(rows) > limit:
            console.print(f"{name}: {len(rows) - limit:,} more. See --limit and --out.")


@quarantine.command()
def reprocess(
    study: StudyFile,
    corrected: Annotated[
        Path, typer.Argument(metavar="FILE", help="Corrected rows, in the columns of oih quarantine show --out.")
    ],
) -> None:
    """Keep corrected rows, which the next run reads in the place of the rejected ones."""
    from pipelines import quarantine as rejected

    for kept in rejected.reprocess(studies.load(study), corrected):
        console.print(
            f"{kept.source}.{kept.table}: {kept.new:,} rows corrected, {kept.changed:,} corrected anew, "
            f"{kept.same:,} as they were",
            highlight=False,
        )
    console.print(f"The next run reads them: oih run {study}", soft_wrap=True, highlight=False)


@quarantine.command()
def forget(
    study: StudyFile,
    source: Annotated[str | None, typer.Option(help="Of this source only.")] = None,
    table: Annotated[str | None, typer.Option(help="Of this delivered table only.")] = None,
) -> None:
    """Let go of corrections whose delivered file has changed since; the others stay."""
    from pipelines import quarantine as rejected

    forgotten = rejected.forget(studies.load(study), source, table)
    for name, rows in forgotten.items():
        console.print(f"{name}: {rows:,} corrections let go", highlight=False)
    if not any(forgotten.values()):
        console.print("No correction is for a file that has changed.")
