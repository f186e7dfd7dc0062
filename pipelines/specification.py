"""Daily doses by every published specification: a definition, a factor set, policies of overlap and buprenorphine.

Nothing is stored: doses, supply and timeline are worked out for one specification at a time from
``trajectory.record_amount``, by the same SQL file and the same kernels that make the study's own.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product

import polars as pl

from pipelines import dose_definitions, dose_timeline, sql_files, trajectory
from pipelines.overlap import OVERLAPS, Overlap
from pipelines.study import Study
from pipelines.warehouse import Connection

DOSE = "specified_dose"
THRESHOLDS_MME = (50, 90, 120, 200)
_ANCHOR = date(2000, 12, 31)

# What the rules of a measure leave out, whatever a study counts.
LEFT_OUT = {"cdc_pdmp_quarterly": pl.col("is_buprenorphine") | pl.col("is_duplicate")}


@dataclass(frozen=True)
class Converted:
    """Records with their doses by one factor set.

    Attributes:
        record: One row per record that counts, on the days of its supply.
        bands: Bands of the factor that depends on the dose.
    """

    record: pl.DataFrame
    bands: pl.DataFrame


def general_factor_sets(connection: Connection) -> list[str]:
    """Sets that convert what patients take themselves, oldest first."""
    rows = connection.sql(
        "select factor_set from reference.factor_set where kind = 'general' order by effective_date, factor_set"
    )
    return [name for (name,) in rows.fetchall()]


def specified(
    study: Study, factor_sets: Sequence[str], overlaps: Sequence[Overlap], buprenorphine: Sequence[str]
) -> Iterator[Study]:
    """The study under every combination, those of one factor set and one policy of buprenorphine next to each other."""
    for factor_set, policy, overlap in product(factor_sets, buprenorphine, overlaps):
        policies = study.dose_policy.model_dump() | {"buprenorphine": policy, "overlap": overlap}
        yield Study.model_validate(study.model_dump() | {"factor_set": factor_set, "dose_policy": policies})


def convert(connection: Connection, study: Study) -> Converted:
    """Work out the dose of every record by a study's factor set and policies."""
    [sql] = [sql for sql in sql_files.tables() if sql.table == "trajectory.record_dose"]
    values = {name: study.parameters[name] for name in sql.parameters}
    connection.execute(f"create or replace temp table {DOSE} as\n{sql.text}", values)
    is_duplicate = "record_id in (select record_id from trajectory.record_flag where flag = 'duplicate')"
    record = trajectory.records(
        connection,
        DOSE,
        more=[
            "coalesce(record.ingredient = 'buprenorphine', false) as is_buprenorphine",
            f"{is_duplicate} as is_duplicate",
        ],
    )
    connection.execute(f"drop table {DOSE}")
    return Converted(record, trajectory.bands(connection, study.factor_set))


def timeline(
    converted: Converted, study: Study, window: tuple[date, date] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Timeline and records under the study's overlap policy.

    Args:
        window: First and last day; needed only where supplies that begin in it count whole.

    Returns:
        The periods of dose_timeline.dose_period, and the records, on the days that the overlap policy gives them.
    """
    record = trajectory.overlapped(converted.record, study)
    if window and study.dose_policy.supply_at_window == "whole":
        record = record.filter(pl.col("fill_date").is_between(*window))
    return dose_timeline.dose_period(record, converted.bands), record


def daily_dose(
    converted: Converted, study: Study, definitions: Sequence[str], window: tuple[date, date], patient_count: int
) -> pl.DataFrame:
    """Daily dose of every patient by several definitions: the rows of dose_definitions.daily_dose."""
    found = _reduced(converted, study, definitions, window, patient_count)
    for name in set(definitions) & set(LEFT_OUT):
        # Only patients with such a record differ, and they are few.
        record = converted.record
        differs = pl.col("patient_index").is_in(record.filter(LEFT_OUT[name])["patient_index"].unique().implode())
        without = replace(converted, record=record.filter(differs & ~LEFT_OUT[name]))
        of_others = found.filter((pl.col("definition") != name) | ~differs)
        found = pl.concat([of_others, _reduced(without, study, [name], window, patient_count).filter(differs)])
    return found


def _reduced(
    converted: Converted, study: Study, definitions: Sequence[str], window: tuple[date, date], patient_count: int
) -> pl.DataFrame:
    period, record = timeline(converted, study, window)
    return dose_definitions.daily_dose(
        period,
        record,
        window,
        patient_count,
        definitions,
        study.settings.gap_tolerance_days,
        clips=study.dose_policy.supply_at_window == "clipped",
        open_supply_days=study.settings.open_supply_days,
    )


def build_dose_specification(connection: Connection, study: Study) -> pl.DataFrame:
    """Patients above each threshold by every specification; grain: one row per specification and threshold.

    Extracts may move each patient's dates by a constant of their own, so there is no calendar that all share: the
    window of each patient is the last days of their own supply.

    Counts are rounded to the nearest multiple of the smallest count that may be published: thresholds and
    specifications are nested in each other, and differences of exact counts would tell of single patients.
    """
    window_days = study.settings.specification_window_days
    window = (_ANCHOR - timedelta(days=window_days - 1), _ANCHOR)
    [[patient_count]] = connection.sql("select count(*) from clean.patient").fetchall()

    def named(converted: Converted, own: Study) -> pl.DataFrame:
        dose = daily_dose(converted, own, list(dose_definitions.DEFINITIONS), window, patient_count)
        above = _above(dose, study.disclosure.min_cell_count)
        return above.with_columns(factor_set=pl.lit(own.factor_set), overlap=pl.lit(own.dose_policy.overlap))

    parts = []
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        for own in specified(study, general_factor_sets(connection), OVERLAPS, [study.dose_policy.buprenorphine]):
            if own.dose_policy.overlap == OVERLAPS[0]:
                converted = convert(connection, own)
                converted = replace(converted, record=_aligned(converted.record))
            parts.append(pool.submit(named, converted, own))
    own_definition = {"on_therapy_days": "dasgupta_2", "window_days": "dasgupta_3"}[study.dose_definition]
    is_own = (
        (pl.col("factor_set") == study.factor_set)
        & (pl.col("overlap") == study.dose_policy.overlap)
        & (pl.col("definition") == own_definition)
    )
    return pl.concat(part.result() for part in parts).with_columns(is_of_study=is_own)


def _aligned(record: pl.DataFrame) -> pl.DataFrame:
    """Each patient's records moved so that all supply ends on the same day."""
    later = pl.lit(_ANCHOR) - pl.col("end_date").max().over("patient_index")
    return record.with_columns(pl.col("start_date", "end_date") + later)


def _above(dose: pl.DataFrame, base: int) -> pl.DataFrame:
    """Patients with a dose, and those of them above each threshold in any of their windows."""
    patient = (
        dose.filter(pl.col("daily_mme") > 0)
        .group_by("definition", "patient_index")
        .agg(pl.col("daily_mme").max(), pl.col("is_lower_bound").any())
    )
    dose_mme = pl.col("daily_mme")
    counted = patient.group_by("definition").agg(
        pl.len().alias("patient_count"),
        pl.col("is_lower_bound").sum().alias("lower_bound_count"),
        *((dose_mme > threshold).sum().alias(f"{threshold} >") for threshold in THRESHOLDS_MME),
        *((dose_mme >= threshold).sum().alias(f"{threshold} >=") for threshold in THRESHOLDS_MME),
    )
    rounded = pl.col(pl.UInt32).cast(pl.Int64)
    counted = counted.with_columns((rounded * 2 + base) // (2 * base) * base)
    told = pl.col("above").str.split_exact(" ", 1).struct
    return counted.unpivot(
        index=["definition", "patient_count", "lower_bound_count"], variable_name="above", value_name="above_count"
    ).select(pl.exclude("above"), threshold_mme=told[0].cast(pl.Int32), comparison=told[1])
