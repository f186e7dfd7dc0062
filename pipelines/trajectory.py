"""Trajectory tables that time-ordered kernels build: read from the warehouse, hand over to the kernel, give a frame."""

from datetime import timedelta

import polars as pl

from pipelines import dose_change, dose_timeline, products
from pipelines.study import Study
from pipelines.warehouse import Connection


def build_drug_product(connection: Connection, study: Study) -> pl.DataFrame:
    """What each distinct drug text says; grain: one row per text."""
    texts = connection.sql("from clean.prescription select drug_text union from clean.administration select drug_text")
    return products.read(texts.pl())


def build_dose_period(connection: Connection, study: Study) -> pl.DataFrame:
    """Runs of equal dose; grain: one row per patient and run of days."""
    records = connection.sql(
        "select patient_index, start_date, end_date, dose_micro_mme from trajectory.record_dose where is_in_timeline"
    )
    return dose_timeline.dose_period(records.pl())


def build_therapy_run(connection: Connection, study: Study) -> pl.DataFrame:
    """Runs of therapy with short gaps bridged; grain: one row per patient and run."""
    settings = study.settings
    return dose_timeline.therapy_run(
        connection.sql("from trajectory.dose_period").pl(),
        bridge_days=settings.bridge_gap_days,
        span_days=settings.long_term_span_days,
        min_covered_days=settings.long_term_covered_days,
    )


def build_dose_step(connection: Connection, study: Study) -> pl.DataFrame:
    """Every rise of the dose with the mean doses around it; grain: one row per patient and day of a rise."""
    settings = study.settings
    period = connection.sql("from trajectory.dose_period").pl()
    step = dose_timeline.dose_increase(period)
    before = _window(period, step, -settings.dose_before_days, -1)
    after = _window(period, step, 0, settings.dose_after_days - 1)
    sustained = _window(period, step, 0, settings.reversal_days - 1)
    return step.with_columns(
        mean_before_mme=_mean(before, study),
        mean_after_mme=_mean(after, study),
        mean_sustained_mme=_mean(sustained, study),
        before_coverage=before["covered_days"] / settings.dose_before_days,
        after_coverage=after["covered_days"] / settings.dose_after_days,
        before_lower_bound_days=before["lower_bound_days"],
        after_lower_bound_days=after["lower_bound_days"],
    )


def build_dose_change(connection: Connection, study: Study) -> pl.DataFrame:
    """Every change of the dose as each definition measures it; grain: one row per patient, definition and day."""
    return dose_change.measured(
        connection.sql("from trajectory.dose_period").pl(),
        connection.sql("from trajectory.follow_up").pl(),
        study.settings,
        study.dose_definition,
    )


def _window(period: pl.DataFrame, step: pl.DataFrame, from_day: int, to_day: int) -> pl.DataFrame:
    window = step.select(
        "patient_index",
        start_date=pl.col("increase_date") + timedelta(days=from_day),
        end_date=pl.col("increase_date") + timedelta(days=to_day),
    )
    return dose_timeline.window_totals(period, window).with_columns(
        window_days=pl.lit(to_day - from_day + 1, dtype=pl.Int32)
    )


def _mean(window: pl.DataFrame, study: Study) -> pl.Series:
    """Mean dose over the days in supply, or over all days, as the study says; NULL without supply."""
    days = "covered_days" if study.dose_definition == "on_therapy_days" else "window_days"
    covered = pl.when(pl.col("covered_days") > 0)
    return window.select(covered.then(pl.col("dose_mme_days") / pl.col(days)))["dose_mme_days"]
