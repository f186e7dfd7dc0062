"""How a patient's pain goes with the dose of weeks before: a ridge fit with a block bootstrap, all episodes at once.

A fit needs no more than sums over weeks. Weeks are added up by block once, and each draw of the bootstrap weighs the
blocks, so that a draw is a product of two small matrices and a fit solves two equations with two unknowns.
"""

from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines import dose_timeline
from pipelines.settings import Settings

Floats = NDArray[np.float64]

_DAYS_PER_YEAR = 365
_POOL_BITS = 20  # Poisson weights drawn once; each episode reads them from a place of its own
_BATCH = 1024  # episodes at a time: their weights stay in the cache
_ENDS = (0.05, 0.95)  # of the 90 % interval


def steps(period: pl.DataFrame, settings: Settings, dose_definition: str) -> pl.DataFrame:
    """Days on which the dose went up or down for good, one for changes that follow one another closely.

    The mean dose of as many days as a reversal may take, before and after, differs by the ratio of an escalation or
    its inverse; both are covered and known in full. So an early refill makes no step.

    Args:
        period: The timeline as dose_timeline.dose_period returns it.
        settings: Days, ratio and coverage.
        dose_definition: on_therapy_days or window_days, as in a study.

    Returns:
        One row per step: patient_index, step_date. Sorted by both.
    """
    days = settings.reversal_days
    change = (
        pl.concat(
            [
                dose_timeline.dose_increase(period).select("patient_index", step_date="increase_date"),
                dose_timeline.dose_decrease(period).select("patient_index", step_date="decrease_date"),
            ]
        )
        .unique()
        .sort("patient_index", "step_date")
    )
    before = _mean_dose(period, change, "step_date", -days, -1, settings.min_coverage, dose_definition)
    after = _mean_dose(period, change, "step_date", 0, days - 1, settings.min_coverage, dose_definition)
    ratio = (after / before).round(9)
    is_step = (ratio >= settings.escalation_min_ratio) | (ratio <= round(1 / settings.escalation_min_ratio, 9))
    step = change.filter(is_step.fill_null(False))
    is_close = (step["patient_index"].diff() == 0) & (step["step_date"].diff() < timedelta(days=days))
    return step.filter(~is_close.fill_null(False))


def dose_before(period: pl.DataFrame, week: pl.DataFrame, settings: Settings, dose_definition: str) -> pl.Series:
    """Mean dose of the days that lie the lag before each week, in MME; null where one is unknown or none in supply."""
    until = -settings.slope_lag_days
    return _mean_dose(
        period, week, "week_start_date", until - settings.slope_dose_days + 1, until, 0.0, dose_definition
    )


def fitted(week: pl.DataFrame, seed: NDArray[np.uint64], settings: Settings) -> pl.DataFrame:
    """Fit weekly pain on the doublings of the dose and on time, within each episode.

    The ridge pulls both slopes to zero, not the level. The interval is that of a bootstrap in which blocks of weeks
    carry Poisson weights; which ones depends on nothing but the episode's seed.

    Args:
        week: One row per episode and scored week, in order: episode_number (from 0), week_day (days from the index
            date to the Monday), pain_nrs, dose_mme. A week of unknown dose, or of none, is left out.
        seed: One whole number per episode.
        settings: Ridge, blocks, draws, and what an interval needs.

    Returns:
        One row per episode, in the order of their numbers: scored_week_count, dose_sd_doublings,
        slope_nrs_per_doubling, low_nrs_per_doubling and high_nrs_per_doubling (NRS points per doubling).
    """
    week = week.filter(pl.col("dose_mme") > 0)
    episode, episodes = week["episode_number"].to_numpy().astype(np.int64), len(seed)
    count = np.bincount(episode, minlength=episodes)
    columns = np.log2(week["dose_mme"].to_numpy()), week["week_day"].to_numpy() / _DAYS_PER_YEAR, week["pain_nrs"]
    # About the episode's means, so that no digits are lost when squares are subtracted.
    dose, time, pain = (_centred(np.asarray(column, dtype=float), episode, count) for column in columns)

    first_day = -settings.look_back_days - 6  # the Monday before the look-back
    block = (week["week_day"].to_numpy().astype(np.int64) - first_day) // settings.slope_block_days
    blocks = (settings.response_to_day - first_day) // settings.slope_block_days + 1
    products = np.ones(len(week)), dose, time, pain, dose**2, dose * time, time**2, dose * pain, time * pain
    cell, cells = episode * blocks + block, episodes * blocks
    sums = np.stack([np.bincount(cell, product, cells).reshape(episodes, blocks) for product in products], axis=1)

    total = sums.sum(axis=2)
    variance = np.divide(total[:, 4], count - 1, out=np.zeros(episodes), where=count > 1)
    spread = np.sqrt(np.maximum(variance, 0)).round(9)
    is_told = (count >= settings.slope_min_scored_weeks) & (spread > settings.slope_min_dose_sd)
    low, high = _interval(sums[is_told], seed[is_told], settings)
    return pl.DataFrame(
        {
            "scored_week_count": count,
            "dose_sd_doublings": _known(spread, count > 1),
            "slope_nrs_per_doubling": _known(_slope(total[:, :, None], settings.slope_ridge_weeks)[:, 0], count > 1),
            "low_nrs_per_doubling": _known(low, is_told),
            "high_nrs_per_doubling": _known(high, is_told),
        }
    )


def _mean_dose(
    period: pl.DataFrame,
    day: pl.DataFrame,
    column: str,
    from_day: int,
    to_day: int,
    min_coverage: float,
    dose_definition: str,
) -> pl.Series:
    """Mean dose of a window around each day; null where it is unknown, or covered too little, or not at all."""
    window = day.select(
        "patient_index",
        start_date=pl.col(column) + timedelta(days=from_day),
        end_date=pl.col(column) + timedelta(days=to_day),
    )
    found = dose_timeline.window_totals(period, window)
    days = to_day - from_day + 1
    counted = pl.col("covered_days") if dose_definition == "on_therapy_days" else pl.lit(days)
    is_known = (
        (pl.col("lower_bound_days") == 0)
        & (pl.col("covered_days") > 0)
        & (pl.col("covered_days") >= round(min_coverage * days, 9))
    )
    return found.select(mean=pl.when(is_known).then(pl.col("dose_mme_days") / counted))["mean"]


def _centred(value: Floats, episode: NDArray[np.int64], count: NDArray[np.int64]) -> Floats:
    return value - (np.bincount(episode, value, len(count)) / np.maximum(count, 1))[episode]


def _slope(sums: Floats, ridge: float) -> Floats:
    """The slope on dose, from sums over weeks: one row per episode and column per draw; 0 where no week is drawn."""
    weight, dose, time, pain, dose_dose, dose_time, time_time, dose_pain, time_pain = np.moveaxis(sums, 1, 0)
    weight = np.maximum(weight, 1)
    within_dose = dose_dose - dose * dose / weight + ridge
    within_time = time_time - time * time / weight + ridge
    across = dose_time - dose * time / weight
    with_dose = dose_pain - dose * pain / weight
    with_time = time_pain - time * pain / weight
    return (within_time * with_dose - across * with_time) / (within_dose * within_time - across**2)


def _interval(sums: Floats, seed: NDArray[np.uint64], settings: Settings) -> Floats:
    """Lower and upper end of each episode's interval."""
    draws, blocks = settings.slope_draw_count, sums.shape[2]
    from_place = np.lib.stride_tricks.sliding_window_view(_poisson_weights(draws * blocks), draws * blocks)
    ends = np.empty((len(_ENDS), len(sums)))
    for start in range(0, len(sums), _BATCH):
        batch = slice(start, start + _BATCH)
        weights = from_place[(seed[batch] % (1 << _POOL_BITS)).astype(np.int64)].reshape(-1, blocks, draws)
        ends[:, batch] = np.quantile(_slope(sums[batch] @ weights, settings.slope_ridge_weeks), _ENDS, axis=1)
    return ends


@cache
def _poisson_weights(per_episode: int) -> Floats:
    """The same numbers in every run, so that an interval depends on the episode alone."""
    return np.random.default_rng(0).poisson(1.0, (1 << _POOL_BITS) + per_episode).astype(float)


def _known(value: Floats, is_known: NDArray[np.bool_]) -> pl.Series:
    """Values where they are known, else null. Rounded: how a processor adds up is no part of a result."""
    full = np.full(len(is_known), np.nan)
    full[is_known] = value if len(value) == is_known.sum() else value[is_known]
    return pl.Series((full + 0.0).round(6)).fill_nan(None)
