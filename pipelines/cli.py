"""The command line: ``oih run``, ``simulate``, ``check``, ``quality``, ``quarantine``, ``mme`` and ``ui``.

Exit code 0 only when every blocking check passed and the report was published, 1 for what the user can mend, said
in one line. Anything else is a bug: it keeps its traceback and leaves with 70.
"""

import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
import typer.exceptions
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text
from typer.core import TyperGroup

import pipelines
from pipelines import study as studies
from pipelines.errors import CheckError, PipelineError, printable
from pipelines.overlap import Overlap

if TYPE_CHECKING:
    from pipelines.drift import Drift

app = typer.Typer(
    name="oih",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console()


class _OneOff(TyperGroup):
    """``oih mme FILE`` is short for ``oih mme compute FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["compute", *args]
        return super().parse_args(ctx, args)


quarantine = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rows that no table could take: count them, show them, feed them back corrected. Inside only.",
)
app.add_typer(quarantine, name="quarantine")

mme = typer.Typer(cls=_OneOff, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(mme, name="mme")

source = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(source, name="source", help="Add a source: draft its contracts and mappings, and see what is missing.")
contract = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Data contracts.")
app.add_typer(contract, name="contract")

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, e.g. studies/demo.yaml.")]
BUG = 70  # what sysexits.h calls an internal software error
FILES_SHOWN = 5
CHECKED_STEPS = ("raw", "reference", "clean")


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


@app.command()
def run(study: StudyFile) -> None:
    """Run a study and publish its report."""
    loaded = studies.load(study)
    _require_inputs(loaded)
    _print_drift(loaded)
    with _progress(f"Running {loaded.name}") as advance:
        from pipelines import run as runs
        from pipelines import tables
        from pipelines.defs import launch

        total = len(tables.of(loaded)) + 1
        runs.on_step.set(lambda step: advance(step, total))
        report = launch.run(study, loaded)
    console.print(f"Report: {report}", soft_wrap=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for extract/ and truth/.")],
    patients: Annotated[int, typer.Option(min=1, help="Simulated patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same files.")] = 1,
    world: Annotated[str, typer.Option(help="What is simulated: a file of pipelines/simulator/worlds.")] = "realistic",
) -> None:
    """Simulate an extract with known truth."""
    from pipelines import simulator

    chosen = simulator.load_world(world)
    with _progress(f"Simulating {patients} patients") as advance:
        tables = simulator.simulate(
            patients, seed, chosen, lambda block, blocks: advance("block", blocks), processes=os.cpu_count() or 1
        )
    try:
        simulator.write(tables, out)
    except OSError as error:
        raise PipelineError(f"{out}: cannot be written ({error.strerror}). Choose another folder.") from None
    console.print(f"Simulated extract: {out / 'extract'}\nIts truth, kept apart: {out / 'truth'}", soft_wrap=True)


@app.command()
def check(study: StudyFile) -> None:
    """Validate a study's extracts without deriving anything.

    Of increments and upserts it sees the files that are there now, not what earlier runs loaded.
    """
    from pipelines import checks, drift, identifiers, tables, warehouse

    loaded = studies.load(study)
    _require_inputs(loaded)
    drift.refuse(_print_drift(loaded))
    _print_unread(loaded)
    wanted = [table for table in tables.of(loaded) if table.step in CHECKED_STEPS]
    folders = [source.folder for source in loaded.sources.values()]
    found = []
    with tempfile.TemporaryDirectory(prefix="oih-check-") as folder, _progress("Checking extracts") as advance:
        file = Path(folder) / "check.duckdb"
        with warehouse.opened(file, folders, loaded.memory_limit) as connection:
            looks_identifying = identifiers.screen(connection, loaded)
        _print_identifiers(looks_identifying)
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


@app.command()
def ui(
    study: StudyFile,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's UI on a study, reachable from this machine only."""
    from pipelines.defs import launch

    raise typer.Exit(launch.open_ui(study, studies.load(study), port))


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


@app.command()
def quality(
    study: Annotated[Path, typer.Option(metavar="STUDY", help="Study file, e.g. studies/demo.yaml.")],
    run: Annotated[str | None, typer.Option(metavar="ID", help="A run under <output>/runs; default: the last.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK=LIMIT", help="Another limit, e.g. clean.prescription.days_supply_between=1%."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page under these limits.")] = None,
) -> None:
    """Show what a run checked, and what would pass under other limits, without running again."""
    from pipelines import quality as qualities
    from pipelines.workspace import Workspace

    loaded = studies.load(study)
    workspace = Workspace(loaded)
    folder = qualities.run_folder(workspace, run)
    if out and (out.resolve() == workspace.root or workspace.root in out.resolve().parents):
        raise PipelineError(f"{out}: is inside the study's output. Choose another folder.")
    found = qualities.read(folder / "quality")
    limits = qualities.thresholds(threshold or [])
    judged = found.model_copy(update={"results": qualities.judged(found.results, limits)})
    for before, now in zip(found.results, judged.results, strict=True):
        if now.is_open or now != before:
            then = "" if now.status == before.status else f"{before.status.replace('_', ' ')} -> "
            line = f"{now.severity}: {now.table}.{now.check}: {then}{now.outcome}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    statuses = Counter(result.status for result in judged.results)
    counted = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in statuses.items())
    console.print(f"Run {found.run_id}: {counted or 'nothing was checked'}", soft_wrap=True, highlight=False)
    if out:
        console.print(f"Page: {qualities.write_again(out, folder, judged, loaded)}", soft_wrap=True)
    blocking = [result for result in judged.results if result.blocks]
    if blocking:
        raise CheckError(
            f"{'; '.join(f'{result.table}: {result.check}: {result.outcome}' for result in blocking)}. "
            "Mend the extract or the contract and run again."
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


@mme.command()
def compute(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="CSV, Parquet, SAS, SPSS or Stata: patient_id, start_date, quantity, days_supply, and drug_text or "
            "ingredient, strength, strength_unit and form; optional ndc, route, end_date.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="CSV or Parquet to write, one row per patient and specification.")],
    factor_set: Annotated[str, typer.Option(help="Conversion factors: a set in docs/factor_sets.")] = "cdc_2022",
    parenteral_factor_set: Annotated[
        str | None, typer.Option(help="Set whose factors convert injections and infusions; unknown without one.")
    ] = None,
    definition: Annotated[
        list[str] | None, typer.Option(help="A definition in docs/dose_definitions; may be repeated; default: all.")
    ] = None,
    overlap: Annotated[Overlap, typer.Option(help="What becomes of overlapping supply.")] = "sum",
    buprenorphine: Annotated[
        Literal["with", "without", "both"], typer.Option(help="Buprenorphine counted, left out, or both.")
    ] = "with",
    oud_medication: Annotated[
        Literal["with", "lower_bound", "without"],
        typer.Option(help="Treatment of opioid use disorder: counted, of unknown dose, or left out."),
    ] = "with",
    antitussive: Annotated[
        Literal["with", "lower_bound", "without"], typer.Option(help="The same for cough and cold products.")
    ] = "with",
    neuraxial: Annotated[
        Literal["lower_bound", "without"], typer.Option(help="Epidural and intrathecal doses: unknown, or left out.")
    ] = "lower_bound",
    missing_days_supply: Annotated[
        Literal["unknown", "imputed"], typer.Option(help="Rows without days supply: unknown, or 30 days.")
    ] = "unknown",
    supply_at_window: Annotated[
        Literal["clipped", "whole"], typer.Option(help="Supply inside the window, or all that begins in it.")
    ] = "clipped",
    gap_tolerance_days: Annotated[int, typer.Option(min=0, help="Longest gap that is on therapy (dasgupta_2).")] = 0,
    window: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FROM TO", help="First and last day; default: those of the file's supply."),
    ] = None,
    ndc_table: Annotated[Path | None, typer.Option(help="Your own table of codes: ndc, drug_text.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="All factor sets and overlap policies: the specification table.")
    ] = False,
    timeline: Annotated[Path | None, typer.Option(help="Also write the periods of equal dose to this file.")] = None,
) -> None:
    """Daily MME of every patient in one file; the default: `oih mme INPUT --out OUT`."""
    from pipelines import dose_definitions, flat_file, mme, specification
    from pipelines.overlap import OVERLAPS

    unknown = sorted(set(definition or ()) - set(dose_definitions.DEFINITIONS))
    if unknown:
        known = ", ".join(dose_definitions.DEFINITIONS)
        raise PipelineError(f"--definition {unknown[0]}: is no definition. Use one of {known}.")
    span = (_day("--window", window[0]), _day("--window", window[1])) if window else None
    if span and span[1] < span[0]:
        raise PipelineError("--window: ends before it begins. Give the first day, then the last.")
    if span and not all(mme.YEARS[0] <= day.year <= mme.YEARS[1] for day in span):
        raise PipelineError(f"--window: reaches beyond the years {mme.YEARS[0]} to {mme.YEARS[1]}. Give days of these.")
    flat_file.require_writable(out, table, *([ndc_table] if ndc_table else []))
    if timeline:
        flat_file.require_writable(timeline, table, out, *([ndc_table] if ndc_table else []))
    study = mme.one_off(
        factor_set=factor_set,
        parenteral_factor_set=parenteral_factor_set,
        ndc_table=ndc_table,
        settings={"gap_tolerance_days": gap_tolerance_days},
        dose_policy={
            "overlap": overlap,
            "oud_medication": oud_medication,
            "antitussive": antitussive,
            "neuraxial": neuraxial,
            "missing_days_supply": missing_days_supply,
            "supply_at_window": supply_at_window,
            "buprenorphine": "with" if buprenorphine == "both" else buprenorphine,
        },
    )
    with mme.connected() as connection:
        patients = mme.load(connection, table, study)
        policies = ["with", "without"] if buprenorphine == "both" else [buprenorphine]
        factor_sets = specification.general_factor_sets(connection) if compare else [factor_set]
        chosen = list(specification.specified(study, factor_sets, OVERLAPS if compare else [overlap], policies))
        definitions = list(dict.fromkeys(definition or dose_definitions.DEFINITIONS))
        with _progress(f"Daily MME of {len(patients)} patients") as advance:
            rows = mme.daily_dose(
                connection, patients, chosen, definitions, span, lambda step: advance(step, len(chosen))
            )
        flat_file.write(rows, out)
        if timeline:
            flat_file.write(mme.timeline(connection, patients, study), timeline)
        unknown_doses = RichTable("Rows without a dose, or left out", "Rows")
        for reason, count in mme.reasons(connection):
            unknown_doses.add_row(reason, f"{count:,}")
        flagged = RichTable("Rows worth a look", "Rows")
        for flag, count in mme.flags(connection):
            flagged.add_row(flag, f"{count:,}")
    for counted in (unknown_doses, flagged):
        if counted.row_count:
            console.print(counted)
    console.print(f"{len(rows):,} rows of {len(patients):,} patients: {out}", soft_wrap=True)


@mme.command()
def read(
    table: Annotated[
        Path, typer.Argument(metavar="INPUT", help="CSV, Parquet, SAS, SPSS or Stata file with drug texts.")
    ],
    out: Annotated[Path, typer.Option(help="CSV or Parquet to write, one row per distinct text.")],
    column: Annotated[str, typer.Option(help="Column with the texts.")] = "drug_text",
) -> None:
    """Read drug texts: ingredient, strength, unit, route, form and release of each."""
    from pipelines import flat_file, products

    flat_file.require_writable(out, table)
    products.read_file(table, column, out)
    console.print(f"Read: {out}", soft_wrap=True)


@mme.command()
def explain(
    study: StudyFile,
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="Patient, as in clean.patient.")],
    day: Annotated[str, typer.Argument(metavar="DATE", help="Day, as 2024-01-31.")],
) -> None:
    """Show the rows, factors and policies behind a patient's dose of a day. Prints row values: keep it inside."""
    from pipelines import explanation

    loaded = studies.load(study)
    found = explanation.of(loaded, patient, _day("DATE", day))
    for title, rows in found.tables.items():
        # A row of the table reads from top to bottom, so that a narrow terminal shows it whole.
        shown = RichTable("", *(str(number) for number in range(1, len(rows) + 1)), title=title, title_justify="left")
        for column in rows.columns if len(rows) else []:
            shown.add_row(column, *("" if cell is None else str(cell) for cell in rows[column]))
        console.print(shown if len(rows) else f"{title}: none")
    console.print(found.sentence)


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
        _print_identifiers(drafted.identifiers)
    for path in drafted.files:
        console.print(f"Written: {paths.relative(path)}", soft_wrap=True)
    console.print(f"In a study: sources: {{{name}: {{folder: {drafted.folder}}}}}", soft_wrap=True)
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


def _day(where: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PipelineError(f"{where}: is not a day. Write it as 2024-01-31.") from None


def _require_inputs(loaded: studies.Study) -> None:
    """Refuse what would stop the run later, before anything runs."""
    from pipelines import extracts

    for source in loaded.sources.values():
        extracts.require_folder(source.folder)
    studies.require_truth(loaded)


def _print_drift(loaded: studies.Study) -> list["Drift"]:
    """Say first where the delivered columns are not those of the contracts."""
    from pipelines import drift

    drifts = drift.found(loaded)
    for line in [*_unrecorded_changes(loaded), *drift.lines(drifts)]:
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)
    return drifts


def _print_unread(loaded: studies.Study) -> None:
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


def _unrecorded_changes(loaded: studies.Study) -> list[str]:
    from pipelines import tables

    known = [table.contract for table in tables.of(loaded) if table.contract]
    return [f"warning: {contract.unrecorded_change}" for contract in known if contract.unrecorded_change]


def _print_identifiers(found: list) -> None:
    if not found:
        return
    shown = RichTable("File", "Column", "Looks like", "Told by", "Distinct values that do", "Accepted because")
    for one in found:
        counted = f"{one.value_count:,} of {one.distinct_count:,} ({one.share:.0%})"
        cells = (one.file, one.column, one.kind, one.by, counted, one.reason or "not accepted")
        shown.add_row(*(escape(printable(cell)) for cell in cells))
    console.print(shown)


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


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal, nothing in a log; the yielded function moves it on by one."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def advance(step: str, total: int) -> None:
            progress.update(task, advance=1, total=total, description=f"{title}: {step}")

        yield advance


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = 0
    try:
        code = app(standalone_mode=False) or 0
    except PipelineError as error:
        code = _complain(str(error))
    except typer.Exit as left:
        code = left.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except typer.exceptions.TyperException as error:
        # The long form alone names the option whose value is faulty.
        said = str(error) if str(error).startswith("Missing parameter") else error.format_message()
        code = _complain(f"oih: {said[:1].lower()}{said[1:].rstrip('.')}. Run oih --help for the commands.")
    except Exception:
        traceback.print_exc()
        code = BUG
    _leave(code)


def _complain(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _leave(code: int) -> NoReturn:
    """End the process without tearing the interpreter down.

    After a Dagster run, taking DuckDB's extension module apart prints a page of false leak reports.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
