"""Rises and falls of the dose, measured as published definitions of escalation and taper measure them.

Every day on which the dose changes is a candidate, and each definition has its own windows before and after it.
Whether the means found there make an event is for trajectory.opioid_event to say.
"""

from datetime import timedelta

import polars as pl

from pipelines import dose_timeline
from pipelines.settings import Settings

_KEY = ("patient_index", "change_date")


def measured(period: pl.DataFrame, follow_up: pl.DataFrame, settings: Settings, dose_definition: str) -> pl.DataFrame:
    """Mean doses around every change, by definition.

    A mean is taken over the days in supply, or over all days, as dose_definition says. After a fall, a window that
    is without supply from end to end and was followed up has the mean 0: the supply ended, and nothing is unknown.

    Args:
        period: The timeline as dose_timeline.dose_period returns it.
        follow_up: One row per patient: patient_index, last_date (NULL where the end of supply cannot be seen).
        settings: Lengths of the windows.
        dose_definition: on_therapy_days or window_days, as in a study.

    Returns:
        One row per change and definition, with the columns of trajectory.dose_change.

    Raises:
        ValueError: The periods are no timeline.
    """
    windows = _Windows(period, dose_definition, settings)
    rise = dose_timeline.dose_increase(period).select("patient_index", change_date="increase_date")
    fall = dose_timeline.dose_decrease(period).select("patient_index", change_date="decrease_date")
    fall = fall.join(follow_up, on="patient_index", how="left", maintain_order="left")
    before, after, half_year = settings.dose_before_days, settings.dose_after_days, settings.hayes_window_days
    year, baseline = settings.henry_days, settings.taper_baseline_months * settings.month_days
    columns = [
        windows.rise(rise, "hayes_2020", (-half_year, -1), (0, half_year - 1)),
        windows.rise(rise, "morasco_2020", (-before, -1), (0, after - 1)),
        windows.rise(rise, "henry_2015", (-before, -1), (year - before, year - 1)),
        windows.rise(rise, "default", (-before, -1), (0, after - 1)),
        windows.fall(fall, "taper", "fenton_2019", (-baseline, -1), _taper_windows(settings)),
        windows.fall(fall, "taper", "default", (-before, -1), _taper_windows(settings)),
        windows.fall(fall, "abrupt_cut", "default", (-settings.month_days, -1), [(0, settings.month_days - 1)]),
    ]
    return pl.concat(columns)


def _taper_windows(settings: Settings) -> list[tuple[int, int]]:
    starts = (number * settings.month_days for number in range(settings.taper_window_count))
    return [(start, start + settings.taper_mean_days - 1) for start in starts]


class _Windows:
    """Totals of the timeline in windows of days counted from a change."""

    def __init__(self, period: pl.DataFrame, dose_definition: str, settings: Settings) -> None:
        self._period = period
        self._days = "covered_days" if dose_definition == "on_therapy_days" else "window_days"
        self._settings = settings

    def rise(
        self, change: pl.DataFrame, definition: str, before: tuple[int, int], after: tuple[int, int]
    ) -> pl.DataFrame:
        """Rises with the mean of one window before and one after."""
        old, new = self._totals(change, before), self._totals(change, after)
        sustained = self._totals(change, (0, self._settings.reversal_days - 1))
        return self._rows(
            change.with_columns(
                after_start_date=new["start_date"],
                after_end_date=new["end_date"],
                after_mme=new["mean_mme"],
                after_coverage=new["coverage"],
                after_lower_bound_days=new["lower_bound_days"],
                sustained_mme=sustained["mean_mme"],
            ),
            "escalation",
            definition,
            old,
            self._is_stable(change, before, old),
        )

    def fall(
        self,
        change: pl.DataFrame,
        event: str,
        definition: str,
        before: tuple[int, int],
        after: list[tuple[int, int]],
    ) -> pl.DataFrame:
        """Falls with the lowest mean of the windows after that are followed up and known in full."""
        old = self._totals(change, before)
        found = pl.concat([self._totals(change, window) for window in after])
        is_known = (pl.col("end_date") <= pl.col("last_date")) & (pl.col("lower_bound_days") == 0)
        lowest = (
            found.filter(is_known)
            .with_columns(pl.col("mean_mme").fill_null(0.0))
            .sort(*_KEY, "mean_mme", "start_date")
            .unique(_KEY, keep="first")
            .select(
                *_KEY,
                after_start_date="start_date",
                after_end_date="end_date",
                after_mme="mean_mme",
                after_coverage="coverage",
            )
        )
        unknown = found.group_by(_KEY).agg(after_lower_bound_days=pl.col("lower_bound_days").max())
        return self._rows(
            change.join(lowest, on=_KEY, how="left", maintain_order="left")
            .join(unknown, on=_KEY, how="left", maintain_order="left")
            .with_columns(sustained_mme=pl.lit(None, dtype=pl.Float64)),
            event,
            definition,
            old,
            self._is_stable(change, before, old),
        )

    def _rows(
        self, change: pl.DataFrame, event: str, definition: str, old: pl.DataFrame, is_stable: pl.Series
    ) -> pl.DataFrame:
        return change.select(
            *_KEY,
            event=pl.lit(event),
            definition=pl.lit(definition),
            before_start_date=old["start_date"],
            before_mme=old["mean_mme"],
            before_coverage=old["coverage"],
            before_lower_bound_days=old["lower_bound_days"],
            is_stable=is_stable,
            after_start_date="after_start_date",
            after_end_date="after_end_date",
            after_mme="after_mme",
            after_coverage="after_coverage",
            after_lower_bound_days="after_lower_bound_days",
            sustained_mme="sustained_mme",
        )

    def _is_stable(self, change: pl.DataFrame, before: tuple[int, int], old: pl.DataFrame) -> pl.Series:
        """Whether each whole month back from the change is covered and near the mean of all of the window.

        Rounded, so that a month exactly at the limit is not lost in the last binary digit.
        """
        settings = self._settings
        is_stable = pl.repeat(True, change.height, eager=True)
        for month in range((before[1] - before[0] + 1) // settings.month_days):
            until = before[1] - month * settings.month_days
            total = self._totals(change, (until - settings.month_days + 1, until))
            deviation = ((total["mean_mme"] - old["mean_mme"]).abs() / old["mean_mme"]).round(9)
            is_near = (deviation <= settings.stable_share) & (total["coverage"] >= settings.min_coverage)
            is_stable &= is_near.fill_null(False)
        return is_stable

    def _totals(self, change: pl.DataFrame, days: tuple[int, int]) -> pl.DataFrame:
        """Totals of one window of every change, with its mean dose (NULL without supply) and coverage."""
        window = change.with_columns(
            start_date=pl.col("change_date") + timedelta(days=days[0]),
            end_date=pl.col("change_date") + timedelta(days=days[1]),
            window_days=pl.lit(days[1] - days[0] + 1, dtype=pl.Int32),
        )
        return dose_timeline.window_totals(self._period, window).with_columns(
            mean_mme=pl.when(pl.col("covered_days") > 0).then(pl.col("dose_mme_days") / pl.col(self._days)),
            coverage=pl.col("covered_days") / pl.col("window_days"),
        )
