"""``oih contract export``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import console
from pipelines.errors import PipelineError

contract = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Data contracts.")


@contract.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write; with --all the folder of all files.")],
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="Table, e.g. clean.patient.")] = None,
    every: Annotated[bool, typer.Option("--all", help="The contracts of all tables, a file for each.")] = False,
) -> None:
    """Write contracts in the Open Data Contract Standard 3.1."""
    from pipelines import odcs

    if every == bool(table):
        raise PipelineError("oih contract export: needs either a table or --all. Name one of them.")
    written = odcs.write(table, out)
    console.print(f"{len(written)} contracts: {out}" if every else f"Contract: {out}", soft_wrap=True)
