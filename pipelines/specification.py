"""Daily doses by every published specification: a definition, a factor set, policies of overlap and buprenorphine.

Nothing is stored: doses, supply and timeline are worked out for one specification at a time from
``trajectory.record_amount``, by the same SQL file and the same kernels that make the study's own.
"""

from collections.abc import Iterator, Sequence
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
LEFT_OUT = {
    "cdc_pdmp_quarterly": """
        ingredient is distinct from 'buprenorphine'
        and record_id not in (select record_id from trajectory.record_flag where flag = 'duplicate')
    """
}


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


def convert(connection: Connection, study: Study) -> None:
    """Work out the dose of every record by a study's factor set and policies, into a temporary table."""
    [sql] = [sql for sql in sql_files.tables() if sql.table == "trajectory.record_dose"]
    values = {name: study.parameters[name] for name in sql.parameters}
    connection.execute(f"create or replace temp table {DOSE} as\n{sql.text}", values)


def timeline(
    connection: Connection, study: Study, window: tuple[date, date] | None = None, where: str = "true"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Timeline and records of what was converted last.

    Args:
        window: First and last day; needed only where supplies that begin in it count whole.
        where: Which records count.

    Returns:
        The periods of dose_timeline.dose_period, and the records, on the days that the overlap policy gives them.
    """
    record = trajectory.supplied(connection, study, DOSE, where)
    if window and study.dose_policy.supply_at_window == "whole":
        record = record.filter(pl.col("start_date").is_between(*window))
    return dose_timeline.dose_period(record, trajectory.bands(connection, study.factor_set)), record


def daily_dose(
    connection: Connection, study: Study, definitions: Sequence[str], window: tuple[date, date], patient_count: int
) -> pl.DataFrame:
    """Daily dose of every patient by several definitions, of what was converted last.

    Returns:
        The rows of dose_definitions.daily_dose.
    """
    parts = []
    for where in dict.fromkeys(LEFT_OUT.get(name, "true") for name in definitions):
        period, record = timeline(connection, study, window, where)
        parts.append(
            dose_definitions.daily_dose(
                period,
                record,
                window,
                patient_count,
                [name for name in definitions if LEFT_OUT.get(name, "true") == where],
                study.settings.gap_tolerance_days,
                clips=study.dose_policy.supply_at_window == "clipped",
            )
        )
    return pl.concat(parts)


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
    parts = []
    for own in specified(study, general_factor_sets(connection), OVERLAPS, [study.dose_policy.buprenorphine]):
        if own.dose_policy.overlap == OVERLAPS[0]:
            convert(connection, own)
            _align(connection)
        dose = daily_dose(connection, own, list(dose_definitions.DEFINITIONS), window, patient_count)
        parts.append(
            _above(dose, study.disclosure.min_cell_count).with_columns(
                factor_set=pl.lit(own.factor_set), overlap=pl.lit(own.dose_policy.overlap)
            )
        )
    own_definition = {"on_therapy_days": "dasgupta_2", "window_days": "dasgupta_3"}[study.dose_definition]
    is_own = (
        (pl.col("factor_set") == study.factor_set)
        & (pl.col("overlap") == study.dose_policy.overlap)
        & (pl.col("definition") == own_definition)
    )
    return pl.concat(parts).with_columns(is_of_study=is_own)


def _align(connection: Connection) -> None:
    """Move each patient's records so that all supply ends on the same day."""
    connection.execute(
        f"""
        create or replace temp table {DOSE} as
        with last_day as (
            select patient_index, $anchor::date - max(end_date) as later_days
            from {DOSE}
            where is_in_timeline
            group by all
        )
        select * replace (start_date + later_days::integer as start_date, end_date + later_days::integer as end_date)
        from {DOSE}
        inner join last_day using (patient_index)
        """,
        {"anchor": _ANCHOR},
    )


def _above(dose: pl.DataFrame, base: int) -> pl.DataFrame:
    """Patients with a dose, and those of them above each threshold in any of their windows."""
    patient = dose.group_by("definition", "patient_index").agg(
        pl.col("daily_mme").max(), pl.col("is_lower_bound").any()
    )
    known = patient.filter(pl.col("daily_mme").is_not_null() & (pl.col("daily_mme") > 0))
    dosed = known.group_by("definition").agg(patient_count=pl.len(), lower_bound_count=pl.col("is_lower_bound").sum())
    counted = pl.concat(
        known.group_by("definition")
        .agg(above_count=is_above.sum())
        .with_columns(threshold_mme=pl.lit(threshold), comparison=pl.lit(comparison))
        for threshold in THRESHOLDS_MME
        for comparison, is_above in (
            (">", pl.col("daily_mme") > threshold),
            (">=", pl.col("daily_mme") >= threshold),
        )
    ).join(dosed, on="definition")
    counts = ("patient_count", "lower_bound_count", "above_count")
    return counted.with_columns((pl.col(count).cast(pl.Int64) * 2 + base) // (2 * base) * base for count in counts)
