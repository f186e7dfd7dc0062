"""Daily doses by every published specification: a definition, a factor set, policies of overlap and buprenorphine.

Nothing is stored: doses, supply and timeline are worked out for one specification at a time from
``trajectory.record_amount``, by the same SQL file and the same kernels that make the study's own.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import product

import polars as pl

from pipelines import dose_definitions, dose_timeline, sql_files, trajectory
from pipelines.overlap import Overlap
from pipelines.study import Study
from pipelines.warehouse import Connection

DOSE = "specified_dose"

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
