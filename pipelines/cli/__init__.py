"""The command line: a file for each command or group of commands of ``oih``, by its name."""

from typing import Annotated

import typer

import pipelines
from pipelines.cli import check, contract, explain, mme, quality, quarantine, run, simulate, source, ui, what_if
from pipelines.cli.console import console, leave

app = typer.Typer(
    name="oih",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run.run, simulate.simulate, check.check, ui.ui, quality.quality, explain.explain, what_if.what_if):
    app.command()(command)
app.add_typer(quarantine.quarantine, name="quarantine")
app.add_typer(mme.mme, name="mme")
app.add_typer(source.source, name="source")
app.add_typer(contract.contract, name="contract")


@app.callback(invoke_without_command=True)
def oih(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Candidate opioid-induced hyperalgesia in cohorts: extracts in, cohort report out."""
    if version:
        console.print(f"oih {pipelines.__version__}")
    elif context.invoked_subcommand is None:
        console.print(context.get_help())


def main() -> None:
    """Run the command line and leave with its exit code."""
    leave(app)
