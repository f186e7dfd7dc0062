"""Morphine milligram equivalents of one file, without a study: the engine behind ``oih mme``.

The file's rows become the clean prescriptions of a warehouse in memory; from there on the tables, the SQL files and
the kernels are those of a study.
"""

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from pipelines import contracts, dose_definitions, flat_file, specification, tables, trajectory, warehouse
from pipelines.errors import ExtractError
from pipelines.study import Study, refuse_unknown_factor_sets
from pipelines.warehouse import Connection

REQUIRED = ("patient_id", "start_date", "quantity", "days_supply")
PRODUCT = ("ingredient", "strength", "strength_unit", "form")
FILLED_IN = ("patient_id", "start_date")  # the other cells may be empty
OPTIONAL = ("drug_text", *PRODUCT, "route", "ndc", "end_date")

# What is built from the prescriptions before any factor is chosen.
BUILT = (
    "trajectory.drug_code",
    "trajectory.drug_product",
    "trajectory.record_amount",
    "trajectory.record_dose",
    "trajectory.record_flag",
)
_BEYOND = 1_000_000
YEARS = (1900, 2199)  # of days that are meant; 9999-12-31 stands for an end that nobody knows
WHOLE, NUMBER = "a whole number", "a number"
DAY = "a day such as 2024-01-31"
MEANT_DAY = f"a day of {YEARS[0]} to {YEARS[1]} such as 2024-01-31"


def load(connection: Connection, path: Path, study: Study) -> pl.DataFrame:
    """Read a file of prescriptions and work out what each is of, how much of it and over how many days.

    Args:
        path: CSV or Parquet with patient_id, start_date, quantity, days_supply and either drug_text or ingredient,
            strength, strength_unit and form; optional ndc, route and end_date.
        study: Factor set, policies and settings; its sources are not read.

    Returns:
        patient_index and patient_id, one row per patient, sorted.

    Raises:
        ExtractError: A column is missing, or a cell of it is not what the column holds. Numbers that are readable but
            cannot be meant (a negative quantity, no days supply) stay, with an unknown dose; an end beyond all years
            is an unknown end.
    """
    rows = _rows(path)
    patients = rows.select("patient_id").unique().sort("patient_id").with_row_index("patient_index")
    known = contracts.all_contracts()
    for name, contract in known.items():
        if contract.schema_name == "reference" and not contract.built_by:
            warehouse.build_reference(connection, contract)
        elif name in ("clean.prescription", "clean.administration", "clean.source_coverage"):
            warehouse.create(connection, contract)
    connection.register("prescription_rows", rows.join(patients, on="patient_id", maintain_order="left"))
    connection.execute(
        """
        insert into clean.prescription by name
        select
            * exclude (patient_id),
            source_row::varchar as prescription_id,
            'input' as source,
            'dispensing' as record_kind,
            'input' as source_table,
            'input' as source_file
        from prescription_rows
        """
    )
    connection.unregister("prescription_rows")
    built = {table.name: table for table in tables.of(study)}
    for name in BUILT:
        built[name].build(connection, study)
    return patients


def daily_dose(
    connection: Connection,
    patients: pl.DataFrame,
    studies: Sequence[Study],
    definitions: Sequence[str],
    window: tuple[date, date] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> pl.DataFrame:
    """Every patient's daily dose under several specifications.

    Args:
        connection: What ``load`` left.
        studies: One per specification, as specification.specified gives them.
        window: First and last day; by default from the first to the last day of supply in the file, for all patients
            and specifications.

    Returns:
        One row per patient, definition and specification (for quarters one per quarter): patient_id, definition,
        factor_set, overlap, daily_mme, is_lower_bound, window_start, window_end, buprenorphine. Sorted by patient_id,
        in the order of definitions and specifications.
    """
    window = window or _observed(connection, studies)
    parts = []
    conversion = None
    for number, study in enumerate(studies):
        if conversion != (conversion := (study.factor_set, study.dose_policy.buprenorphine)):
            converted = specification.convert(connection, study)
        on_step(study.factor_set)
        found = specification.daily_dose(converted, study, definitions, window, len(patients))
        parts.append(
            found.with_columns(
                factor_set=pl.lit(study.factor_set),
                overlap=pl.lit(study.dose_policy.overlap),
                buprenorphine=pl.lit(study.dose_policy.buprenorphine),
                specification=pl.lit(number),
            )
        )
    order = pl.Enum(list(dose_definitions.DEFINITIONS))
    return (
        pl.concat(parts)
        .sort("patient_index", pl.col("definition").cast(order), "specification", "window_start")
        .join(patients.cast({"patient_index": pl.Int32}), on="patient_index", maintain_order="left")
        .select(
            "patient_id",
            "definition",
            "factor_set",
            "overlap",
            "daily_mme",
            "is_lower_bound",
            "window_start",
            "window_end",
            "buprenorphine",
        )
    )


def timeline(connection: Connection, patients: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Every patient's dose on every day: patient_id, start_date, end_date, dose_mme, is_lower_bound."""
    period = trajectory.build_dose_period(connection, study)
    return period.join(patients.cast({"patient_index": pl.Int32}), on="patient_index", maintain_order="left").select(
        "patient_id", "start_date", "end_date", "dose_mme", "is_lower_bound"
    )


def reasons(connection: Connection) -> list[tuple[str, int]]:
    """Why records have no dose or do not count under the study's own factor set, the commonest first."""
    return connection.sql(
        "select reason, count(*) from trajectory.record_dose where reason is not null group by all order by 2 desc, 1"
    ).fetchall()


def flags(connection: Connection) -> list[tuple[str, int]]:
    """What is worth a look in the rows, such as a days supply that was imputed, the commonest first."""
    return connection.sql(
        "select flag, count(*) from trajectory.record_flag group by all order by 2 desc, 1"
    ).fetchall()


def one_off(**changed: object) -> Study:
    """The study that a file stands for: defaults but for what is named.

    Raises:
        StudyError: There is no such factor set.
    """
    folder = Path(tempfile.gettempdir())
    content = {"name": "one_off", "title": "One file", "sources": {"simulated": {"folder": folder}}, "output": folder}
    study = Study.model_validate(content | changed)
    refuse_unknown_factor_sets("oih mme", study)
    return study


def connected() -> Connection:
    """A warehouse in memory that reaches neither files nor the network."""
    connection = duckdb.connect()
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _observed(connection: Connection, studies: Sequence[Study]) -> tuple[date, date]:
    """From the first to the last day of supply in the file, by whichever overlap policy reaches furthest."""
    [(first, last)] = connection.sql("select min(start_date), max(end_date) from trajectory.record_amount").fetchall()
    converted = specification.convert(connection, studies[0])
    for study in {study.dose_policy.overlap: study for study in studies}.values():
        _, record = specification.timeline(converted, study)
        last = max(last, record.select(pl.col("end_date").max()).item() or last)
    return first, last


def _rows(path: Path) -> pl.DataFrame:
    """The file's rows in the columns of clean.prescription; a cell of another kind than its column is refused."""
    rows = flat_file.read(path, REQUIRED, OPTIONAL)
    if rows.is_empty():
        raise ExtractError(f"{path}: has no rows. Give at least one prescription.")
    missing = [column for column in PRODUCT if column not in rows.columns]
    if "drug_text" not in rows.columns and "ndc" not in rows.columns and missing:
        raise ExtractError(
            f"{path}: has neither drug_text nor all of {', '.join(PRODUCT)}. Name the product in either way."
        )
    text = {name: pl.col(name).cast(pl.String).str.strip_chars() for name in rows.columns}
    blank_as_null = {name: pl.when(value != "").then(value) for name, value in text.items()}
    rows = rows.with_columns(**{name: value for name, value in blank_as_null.items() if rows.schema[name] == pl.String})
    _refuse(path, rows, "patient_id", pl.col("patient_id").is_null(), "is empty", "Fill in whose each row is")
    _refuse(path, rows, "start_date", pl.col("start_date").is_null(), "is empty", "Fill in the day of each row")
    described = pl.concat_str(
        [pl.col(name).cast(pl.String) for name in ("ingredient", "form") if name in rows.columns],
        separator=" ",
        ignore_nulls=True,
    )
    drug_text = _optional(rows, "drug_text")
    if "ingredient" in rows.columns:
        drug_text = drug_text.zip_with(drug_text.is_not_null(), rows.select(text=described)["text"])
    return pl.DataFrame(
        {
            "patient_id": rows["patient_id"].cast(pl.String),
            "drug_text": drug_text.fill_null(""),
            "ndc": _ndc(rows),
            "strength": _read(path, rows, "strength", pl.Float64, NUMBER),
            "strength_unit": _optional(rows, "strength_unit"),
            "route_text": _optional(rows, "route"),
            "start_date": _read(path, rows, "start_date", pl.Date, MEANT_DAY),
            "end_date": _read(path, rows, "end_date", pl.Date, DAY),
            "quantity": _read(path, rows, "quantity", pl.Float64, NUMBER),
            "days_supply": _read(path, rows, "days_supply", pl.Int32, WHOLE),
            "source_row": pl.int_range(1, len(rows) + 1, eager=True),
        }
    )


def _optional(rows: pl.DataFrame, name: str) -> pl.Series:
    if name not in rows.columns:
        return pl.repeat(None, len(rows), dtype=pl.String, eager=True)
    return rows[name].cast(pl.String)


def _ndc(rows: pl.DataFrame) -> pl.Series:
    """Codes as text; whole numbers get their leading zeros back."""
    codes = _optional(rows, "ndc")
    is_number = "ndc" in rows.columns and rows.schema["ndc"].is_integer()
    return codes.str.zfill(11) if is_number else codes


def _read(path: Path, rows: pl.DataFrame, name: str, type_: type[pl.DataType], what: str) -> pl.Series:
    """A column as numbers or days; cells that are neither are refused, since nobody knows what they mean."""
    if name not in rows.columns:
        return pl.repeat(None, len(rows), dtype=type_, eager=True)
    cell = pl.col(name)
    if type_ == pl.Date:
        if not rows.schema[name].is_temporal():  # a whole number such as 20240131 is no day either
            cell = cell.cast(pl.String)
            value = cell.str.extract(r"^(\d{4}-\d{2}-\d{2})(?:$|[T ])").str.to_date("%Y-%m-%d", strict=False)
        else:
            value = cell.dt.date()  # where the clock stood, whatever day it was elsewhere
        is_meant = value.dt.year().is_between(*YEARS)
        is_other = cell.is_not_null() & (value.is_null() if what == DAY else is_meant.not_() | value.is_null())
        value = pl.when(is_meant).then(value)
    else:
        if rows.schema[name].is_temporal():
            raise ExtractError(f"{path}: column {name} holds neither numbers nor text. Write it as numbers.")
        number = cell.cast(pl.Float64, strict=False)
        value = pl.when(number.is_finite()).then(number)
        if type_ == pl.Int32:  # a number of days that does not fit is beyond all limits and stays so
            value = pl.when(value == value.round()).then(value.clip(-_BEYOND, _BEYOND)).cast(pl.Int32)
        is_other = cell.is_not_null() & value.is_null()
    mend = f"Write {what}" if name in FILLED_IN else f"Write {what}, or leave it empty"
    _refuse(path, rows, name, is_other, f"is not {what}", mend)
    return rows.select(value.alias(name))[name]


def _refuse(path: Path, rows: pl.DataFrame, column: str, is_faulty: pl.Expr, what: str, mend: str) -> None:
    faulty = rows.select(is_faulty.arg_true().alias("row"))["row"]
    if len(faulty):
        raise ExtractError(f"{path}: {column} {what} in {len(faulty)} rows, first in row {faulty[0] + 1}. {mend}.")
