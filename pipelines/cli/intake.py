"""What is said of the delivered files before anything is built from them."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from pipelines import study as studies
from pipelines.cli.console import console
from pipelines.errors import printable

if TYPE_CHECKING:
    from pipelines.drift import Drift

FILES_SHOWN = 5


def require_inputs(loaded: studies.Study) -> None:
    """Refuse what would stop the run later, before anything runs."""
    from pipelines import extracts

    for source in loaded.sources.values():
        extracts.require_folder(source.folder)
    studies.require_truth(loaded)


def print_drift(loaded: studies.Study) -> list["Drift"]:
    """Say first where the delivered columns are not those of the contracts."""
    from pipelines import drift

    drifts = drift.found(loaded)
    for line in [*unrecorded_changes(loaded), *drift.lines(drifts)]:
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)
    return drifts


def unrecorded_changes(loaded: studies.Study) -> list[str]:
    """A warning for each contract whose columns changed and whose changelog does not say so."""
    from pipelines import tables

    known = [table.contract for table in tables.of(loaded) if table.contract]
    return [f"warning: {contract.unrecorded_change}" for contract in known if contract.unrecorded_change]


def print_unread(loaded: studies.Study) -> None:
    """Say which delivered files no contract reads: one may be a table under another name."""
    from pipelines import contracts, extracts

    for name, source in sorted(loaded.sources.items()):
        if files := extracts.unread(contracts.raw_contracts(name), source.folder):
            shown = ", ".join(files[:FILES_SHOWN]) + (", …" if len(files) > FILES_SHOWN else "")
            many = (
                "1 file that no contract reads" if len(files) == 1 else f"{len(files):,} files that no contract reads"
            )
            line = f"warning: {name}: {many} ({shown}). Rename what is a table, move the rest out of the extract."
            console.print(printable(line), soft_wrap=True, markup=False, highlight=False)


def print_identifiers(found: list) -> None:
    """Say which columns look as if they identified people, never by a value."""
    if not found:
        return
    shown = RichTable("File", "Column", "Looks like", "Told by", "Distinct values that do", "Accepted because")
    for one in found:
        counted = f"{one.value_count:,} of {one.distinct_count:,} ({one.share:.0%})"
        cells = (one.file, one.column, one.kind, one.by, counted, one.reason or "not accepted")
        shown.add_row(*(escape(printable(cell)) for cell in cells))
    console.print(shown)
