"""``oih mme compute`` (or ``oih mme`` alone), ``read`` and ``explain``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table as RichTable
from typer.core import TyperGroup

from pipelines import study as studies
from pipelines.cli.console import StudyFile, console, day_of, progress
from pipelines.errors import PipelineError
from pipelines.overlap import Overlap


class _OneOff(TyperGroup):
    """``oih mme FILE`` is short for ``oih mme compute FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["compute", *args]
        return super().parse_args(ctx, args)


mme = typer.Typer(
    cls=_OneOff,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Morphine equivalents of one file, what its drug texts say, and why a day has its dose.",
)


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
    span = (day_of("--window", window[0]), day_of("--window", window[1])) if window else None
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
        with progress(f"Daily MME of {len(patients)} patients") as advance:
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
    found = explanation.of(loaded, patient, day_of("DATE", day))
    for title, rows in found.tables.items():
        # A row of the table reads from top to bottom, so that a narrow terminal shows it whole.
        shown = RichTable("", *(str(number) for number in range(1, len(rows) + 1)), title=title, title_justify="left")
        for column in rows.columns if len(rows) else []:
            shown.add_row(column, *("" if cell is None else str(cell) for cell in rows[column]))
        console.print(shown if len(rows) else f"{title}: none")
    console.print(found.sentence)
