"""``oih check``."""

import tempfile
from collections import Counter
from pathlib import Path

from rich.table import Table as RichTable

from pipelines import study as studies
from pipelines.cli.console import StudyFile, console, progress
from pipelines.cli.intake import print_drift, print_identifiers, print_unread, require_inputs
from pipelines.errors import CheckError

CHECKED_STEPS = ("raw", "reference", "clean")


def check(study: StudyFile) -> None:
    """Validate a study's extracts without deriving anything.

    Of increments and upserts it sees the files that are there now, not what earlier runs loaded.
    """
    from pipelines import checks, drift, identifiers, tables, warehouse

    loaded = studies.load(study)
    require_inputs(loaded)
    drift.refuse(print_drift(loaded))
    print_unread(loaded)
    wanted = [table for table in tables.of(loaded) if table.step in CHECKED_STEPS]
    folders = [source.folder for source in loaded.sources.values()]
    found = []
    with tempfile.TemporaryDirectory(prefix="oih-check-") as folder, progress("Checking extracts") as advance:
        file = Path(folder) / "check.duckdb"
        with warehouse.opened(file, folders, loaded.memory_limit) as connection:
            looks_identifying = identifiers.screen(connection, loaded)
        print_identifiers(looks_identifying)
        identifiers.refuse(looks_identifying)
        # Mappings and contract queries run, as in a run, where no folder can be read any more.
        for readable in (folders, []):
            with warehouse.opened(file, readable, loaded.memory_limit) as connection:
                for table in [table for table in wanted if table.is_ingest == bool(readable)]:
                    advance(table.name, len(wanted))
                    table.build(connection, loaded)
        with warehouse.opened(file, [], loaded.memory_limit) as connection:
            for contract in [table.contract for table in wanted if table.contract]:
                found += checks.check(connection, contract)
            quarantined = connection.sql(
                "select source, table_name, rule, coalesce(column_name, '') as column_name, count(*) as row_count "
                "from (from raw.quarantine union all by name from clean.quarantine) group by all order by all"
            ).fetchall()
            outcomes = connection.sql(
                "select source, source_table, table_name, outcome, reason, row_count from clean.row_outcome "
                "order by source, source_table, table_name, outcome, row_count desc"
            ).fetchall()
    _print_checked(found, quarantined)
    _print_outcomes(outcomes)
    _print_open_choices(loaded)
    blocking = [result for result in found if result.blocks]
    if blocking:
        failed = "; ".join(f"{result.table} {result.check}: {result.outcome}" for result in blocking)
        raise CheckError(
            f"{study}: {len(blocking)} blocking checks failed ({failed}). Mend the extract or the contract."
        )


def _print_checked(found: list, quarantined: list[tuple]) -> None:
    by_table: dict[str, Counter[str]] = {}
    for result in found:
        outcome = f"{result.severity} {result.status}" if result.is_open else result.status
        by_table.setdefault(result.table, Counter())[outcome] += 1
    summary = RichTable("Table", "Passed", "Warnings", "Blocking")
    for table, outcomes in by_table.items():
        warned = sum(count for outcome, count in outcomes.items() if outcome.startswith("warning"))
        blocked = sum(count for outcome, count in outcomes.items() if outcome.startswith("critical"))
        summary.add_row(table, str(outcomes["passed"]), str(warned or "-"), str(blocked or "-"))
    console.print(summary)
    for result in found:
        if result.is_open:
            line = f"{result.severity}: {result.table} {result.check}: {result.outcome}. {result.why}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    if quarantined:
        rejected = RichTable("Source", "Table", "Rule", "Column", "Rows in quarantine")
        for row in quarantined:
            rejected.add_row(*map(str, row))
        console.print(rejected)


def _print_outcomes(outcomes: list[tuple]) -> None:
    """Where the rows of each delivered table went, for each clean table that it fills."""
    shown = RichTable()
    for column in ("Source", "Delivered table", "Clean table", "Rows are", "Reason", "Rows"):
        shown.add_column(column, overflow="fold")
    for *place, rows in outcomes:
        shown.add_row(*map(str, place), f"{rows:,}")
    console.print(shown)


def _print_open_choices(loaded: studies.Study) -> None:
    from pipelines import source_draft

    for name in loaded.sources:
        if marks := source_draft.open_choices(name):
            console.print(f"warning: {name}: {marks} choices are open. See oih source check {name}.", soft_wrap=True)
