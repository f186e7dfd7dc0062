"""``oih source new`` and ``check``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as RichTable

from pipelines.cli.console import console
from pipelines.cli.intake import print_identifiers
from pipelines.errors import PipelineError

source = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Add a source: draft its contracts and mappings, and see what is missing.",
)


@source.command("new")
def draft_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new source: small letters, digits, _.")],
    first: Annotated[Path, typer.Option("--from", metavar="FILES...", help="Delivered files, or their folder.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="", show_default=False, hidden=True)] = None,
    patient: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that tells patients apart, where no name tells.")
    ] = None,
) -> None:
    """Profile delivered files and write draft contracts and mappings that load at once."""
    from pipelines import paths, source_draft

    drafted = source_draft.draft(name, [first, *(more or [])], patient)
    for table in drafted.tables:
        shown = RichTable("Column", "Type", "Filled", "Different", "Seen", title=f"{table.name}: {table.rows:,} rows")
        for column in table.columns:
            seen = ", ".join(column.values) or (f"{column.minimum} to {column.maximum}" if column.minimum else "")
            filled = f"{column.filled_rows / max(column.rows, 1):.0%}"
            shown.add_row(column.delivered_as, column.type, filled, f"{column.distinct_values:,}", seen)
        console.print(shown)
    if drafted.identifiers:
        console.print("Left out of the drafts, and refused when the study runs unless a contract accepts it:")
        print_identifiers(drafted.identifiers)
    for path in drafted.files:
        console.print(f"Written: {paths.relative(path)}", soft_wrap=True)
    console.print(
        f"In a study: sources: {{{name}: {{folder: {drafted.folder}, dates: REAL_OR_SHIFTED}}}}", soft_wrap=True
    )
    console.print(f"What is left to decide: oih source check {name}")


@source.command("check")
def check_source(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the source.")]) -> None:
    """Say what is still missing of a source's contracts, mappings and test."""
    from pipelines import source_draft

    found = source_draft.gaps(name)
    for gap in found:
        mark = "open" if gap.is_open else "note"
        console.print(f"{mark}: {gap.where}: {gap.what}", soft_wrap=True, markup=False, highlight=False)
    if open_gaps := sum(gap.is_open for gap in found):
        raise PipelineError(f"{name}: {open_gaps} things are open. Mend them, then run this again.")
    console.print(f"{name}: nothing is open.")
