"""Weekly pain as one sorted list of numbers: means over windows of days, without a join.

Patients are numbered, so patient and day pack into one integer that sorts by patient and then by day. Running sums over
the whole list then give the mean of any window by two searches.
"""

import numpy as np
import polars as pl

_DAY_BITS = 24
_MILLI = 1000  # a median of whole or half scores of two settings is exact in thousandths


def window_means(week: pl.DataFrame, day: pl.DataFrame, from_day: int, to_day: int) -> pl.Series:
    """Mean of the weekly scores that begin in a window of days around each of some days.

    Args:
        week: One row per patient and scored week: patient_index, week_start_date, pain_nrs. In any order.
        day: One row per window: patient_index and index_date.
        from_day: First day of the window, counted from index_date.
        to_day: Last day of the window.

    Returns:
        One mean per row of day, in its order, in NRS points; null where no week is scored.
    """
    key = _packed(week["patient_index"], week["week_start_date"], 0)
    order = np.argsort(key, kind="stable")
    milli_nrs = np.rint(week["pain_nrs"].to_numpy()[order] * _MILLI).astype(np.int64)
    total, key = np.append(0, np.cumsum(milli_nrs)), key[order]
    first = np.searchsorted(key, _packed(day["patient_index"], day["index_date"], from_day))
    after = np.searchsorted(key, _packed(day["patient_index"], day["index_date"], to_day + 1))
    count = after - first
    mean = np.divide(total[after] - total[first], count * _MILLI, out=np.zeros(len(count)), where=count > 0)
    return pl.Series(mean).set(pl.Series(count == 0), None)


def _packed(patient: pl.Series, day: pl.Series, shift_days: int) -> np.ndarray:
    """Patient and day as one integer. The days of thousands of years either way stay apart from other patients'."""
    days = day.to_physical().to_numpy().astype(np.int64) + shift_days + (1 << _DAY_BITS - 1)
    return (patient.to_numpy().astype(np.int64) << _DAY_BITS) + days
