"""The dose timeline: every patient's dose on every day, held as runs of equal dose, and what is read off it.

Doses are added as whole millionths of an MME and the sum of a day is rounded once, so that no result depends
on the order of rows, on batches or on threads. Days are never expanded: patient and day are packed into one
64-bit integer, and all work is a sort, a running sum or a search on it.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_SPAN = ("patient_index", "start_date", "end_date")
_BATCH_BITS = 13  # 8,192 patients at a time: small enough for the cache, and for memory to be used again
_DAY_BITS = 32  # room for any date where only a patient has to fit beside it
_UNKNOWN = -1  # instead of a null dose; a known one is never negative


def dose_period(record: pl.DataFrame, bands: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add up the records that are active on each day.

    A record of unknown dose covers its days but adds nothing: the dose of these days is a lower bound. A day
    that no record covers is in no run. Where a factor depends on the dose (methadone in the CDC guideline of 2016),
    the mg of all its records of a day are added up first, and the sum of the day decides on the factor.

    Args:
        record: One row per record, in any order: patient_index (dense, from 0), start_date and end_date
            (first and last day, inclusive), dose_micro_mme (millionths of an MME per day, null if unknown), and
            tiered_micro_mg where there are bands (millionths of a mg per day of what they convert, null for all
            else).
        bands: above_mg_per_day and factor: the factor of a day's mg above that bound, up to the next one.

    Returns:
        One row per longest run of days of equal dose_mme and is_lower_bound: patient_index, start_date,
        end_date (inclusive), dose_mme (MME per day, rounded half up to 0.001, so that 33.333333 + 33.333333 +
        23.333333 is 90), is_lower_bound. Sorted by patient_index and start_date.

    Raises:
        ValueError: A row lacks a patient or a date, ends before it starts or has a negative dose; or the
            dates lie so far apart that patient, day and record do not fit one integer.
    """
    _refuse_faulty(record, "record")
    if negative := (record["dose_micro_mme"] < 0).sum():
        raise ValueError(f"record: {negative} rows have a negative dose_micro_mme. Quarantine them first.")
    columns = [record[name].to_physical().to_numpy() for name in _SPAN]
    columns.append(record["dose_micro_mme"].fill_null(_UNKNOWN).to_numpy())
    is_tiered = bands is not None and not bands.is_empty() and record["tiered_micro_mg"].count() > 0
    if is_tiered:
        columns.append(record["tiered_micro_mg"].fill_null(_UNKNOWN).to_numpy())

    def period(rows: Integers) -> pl.DataFrame:
        patient, start, end, dose, *tiered = (column[rows].astype(np.int64) for column in columns)
        return _sweep(patient, start, end, dose, tiered[0] if tiered else None, bands)

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return pl.concat(pool.map(period, batches(columns[0])), rechunk=False)


def batches(patient: NDArray) -> list[Integers]:
    """Row numbers of a few thousand patients at a time; no patient is in two batches."""
    batch_bits = max(_BATCH_BITS, int(patient.max(initial=0)).bit_length() - 16)
    batch = (patient >> batch_bits).astype(np.uint16)  # numpy sorts 16 bits by radix
    order = np.argsort(batch, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(batch[order])) + 1)


def _sweep(
    patient: Integers,
    start: Integers,
    end: Integers,
    dose: Integers,
    tiered: Integers | None = None,
    bands: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The runs of one batch of patients.

    Every record is two events, +dose on its first day and -dose on the day after its last. One integer holds
    patient, day, record and which of the two it is, so that a plain sort does, which is several times faster
    than an argsort. The events of a patient add up to zero: one running sum is right for all of them.
    """
    records = len(patient)
    if not records:
        return _periods(patient, start, end, dose, dose)
    first_patient, first_day = patient.min(), start.min()
    day_bits = int(end.max() + 1 - first_day).bit_length()
    event_bits = (2 * records).bit_length()
    if int(patient.max() - first_patient).bit_length() + day_bits + event_bits > 63:
        raise ValueError("record: the dates lie too far apart. Quarantine impossible dates first.")

    key = ((patient - first_patient) << day_bits) - first_day
    event = np.arange(records) << 1
    starts = (key + start) << event_bits | event
    ends = (key + end + 1) << event_bits | event | 1
    packed = np.concatenate([starts, ends])
    packed.sort()
    key, event = packed >> event_bits, packed & ((1 << event_bits) - 1)
    last = np.flatnonzero(np.append(key[1:] != key[:-1], True))  # of each day; its sums are those of the day

    change = 1 - 2 * (event & 1)
    amount = dose[event >> 1]
    is_unknown = amount == _UNKNOWN
    active = np.cumsum(change)[last]
    unknown = np.cumsum(change * is_unknown)[last]
    adds = ~is_unknown if tiered is None else ~is_unknown & (tiered[event >> 1] == _UNKNOWN)
    micro_mme = np.cumsum(np.where(adds, amount * change, 0))[last]
    if tiered is not None and bands is not None:
        micro_mg = tiered[event >> 1]
        of_day = np.cumsum(np.where(micro_mg == _UNKNOWN, 0, micro_mg * change))[last]
        micro_mme = micro_mme + _converted(of_day, bands)

    # One integer for what makes two days equal, rounded dose and lower bound; -1 where no record is active.
    state = np.where(active > 0, (micro_mme + 500) // 1000 << 1 | (unknown > 0), -1)
    begins = np.flatnonzero(np.append(True, state[1:] != state[:-1]))
    key, state = key[last][begins], state[begins]
    run = np.flatnonzero(state >= 0)  # never the last one: after all records, none is active
    first, next_first, state = key[run], key[run + 1], state[run]
    day = (1 << day_bits) - 1
    return _periods(
        patient=(first >> day_bits) + first_patient,
        start=(first & day) + first_day,
        end=(next_first & day) + first_day - 1,
        milli_mme=state >> 1,
        is_lower_bound=state & 1,
    )


def _converted(micro_mg: Integers, bands: pl.DataFrame) -> Integers:
    """Millionths of an MME of what is taken on a day, by the band that the day's mg, rounded to 0.001, fall in."""
    bands = bands.sort("above_mg_per_day")
    above_milli_mg = np.rint(bands["above_mg_per_day"].cast(pl.Float64).to_numpy() * 1000).astype(np.int64)
    milli_factor = np.rint(bands["factor"].cast(pl.Float64).to_numpy() * 1000).astype(np.int64)
    band = np.searchsorted(above_milli_mg, (micro_mg + 500) // 1000) - 1
    return (micro_mg * milli_factor[np.maximum(band, 0)] + 500) // 1000


def _periods(
    patient: Integers, start: Integers, end: Integers, milli_mme: Integers, is_lower_bound: Integers
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_index": patient.astype(np.int32),
            "start_date": _dates(start),
            "end_date": _dates(end),
            "dose_mme": milli_mme / 1000,
            "is_lower_bound": is_lower_bound.astype(bool),
        }
    )


def window_totals(period: pl.DataFrame, window: pl.DataFrame) -> pl.DataFrame:
    """Add up the timeline inside windows of days.

    Args:
        period: The timeline as dose_period returns it, in any order.
        window: One row per window: patient_index, start_date and end_date (both inclusive), and any other
            columns. A window may reach beyond the timeline, and its patient may have none.

    Returns:
        The windows, in the order given, with dose_mme_days (MME x days, exact to 0.001), covered_days (days
        of the window that are in the timeline), lower_bound_days (those of them whose dose is a lower bound).

    Raises:
        ValueError: A row lacks a patient or a date or ends before it starts, or periods overlap.
    """
    _refuse_faulty(window, "window")
    period = _in_order(period)
    patient, start, end = _columns(period)
    begin, stop = _key(patient, start), _key(patient, end + 1)
    milli_mme = np.rint(period["dose_mme"].to_numpy() * 1000).astype(np.int64)
    weights = [milli_mme, np.ones_like(start), period["is_lower_bound"].to_numpy().astype(np.int64)]
    # Sums over all periods so far, of all patients. Should they wrap around, differences are still exact.
    totals = [np.append(0, np.cumsum(weight * (stop - begin))) for weight in weights]
    # An empty period before all others, for windows that begin before any.
    weights, stop = [np.append(0, weight) for weight in weights], np.append(0, stop)

    def before(key: Integers) -> list[Integers]:
        begun = np.searchsorted(begin, key)
        to_come = np.maximum(stop[begun] - key, 0)
        return [total[begun] - weight[begun] * to_come for total, weight in zip(totals, weights, strict=True)]

    patient, start, end = _columns(window)
    since, until = _key(patient, start), _key(patient, end + 1)
    order = np.argsort(since, kind="stable")  # neighbours looked up together: several times faster
    found = np.empty((len(weights), len(order)), dtype=np.int64)
    found[:, order] = np.subtract(before(until[order]), before(since[order]))
    return window.with_columns(
        dose_mme_days=found[0] / 1000,
        covered_days=found[1].astype(np.int32),
        lower_bound_days=found[2].astype(np.int32),
    )


def dose_increase(period: pl.DataFrame) -> pl.DataFrame:
    """Every first day on which the dose is higher than on the day before.

    A day outside the timeline has dose 0, so every start and every restart after a gap is an increase. Where
    the dose of either day is a lower bound nobody knows whether it rose, and there is no row.

    Args:
        period: The timeline as dose_period returns it, in any order.

    Returns:
        One row per increase: patient_index, increase_date, dose_before_mme (on the day before),
        dose_after_mme (on that day). Sorted by patient_index and increase_date.

    Raises:
        ValueError: A row lacks a patient or a date or ends before it starts, or periods overlap.
    """
    is_same_patient = pl.col("patient_index") == pl.col("patient_index").shift()
    is_next_day = pl.col("start_date") == pl.col("end_date").shift() + pl.duration(days=1)
    goes_on = (is_same_patient & is_next_day).fill_null(False)
    dose_before = pl.when(goes_on).then(pl.col("dose_mme").shift()).otherwise(0.0)
    is_before_lower_bound = goes_on & pl.col("is_lower_bound").shift()
    return (
        _in_order(period)
        .select(
            "patient_index",
            pl.col("start_date").alias("increase_date"),
            dose_before.alias("dose_before_mme"),
            pl.col("dose_mme").alias("dose_after_mme"),
            (is_before_lower_bound | pl.col("is_lower_bound")).alias("is_lower_bound"),
        )
        .filter(pl.col("dose_after_mme") > pl.col("dose_before_mme"), ~pl.col("is_lower_bound"))
        .drop("is_lower_bound")
    )


def dose_decrease(period: pl.DataFrame) -> pl.DataFrame:
    """Every first day on which the dose is lower than on the day before.

    A day outside the timeline has dose 0, so the day after supply ends is a decrease, however short the gap. Where
    the dose of either day is a lower bound nobody knows whether it fell, and there is no row.

    Args:
        period: The timeline as dose_period returns it, in any order.

    Returns:
        One row per decrease: patient_index, decrease_date, dose_before_mme (on the day before), dose_after_mme
        (on that day). Sorted by patient_index and decrease_date.

    Raises:
        ValueError: A row lacks a patient or a date or ends before it starts, or periods overlap.
    """
    day_after = pl.col("end_date") + pl.duration(days=1)
    is_same_patient = pl.col("patient_index") == pl.col("patient_index").shift(-1)
    goes_on = (is_same_patient & (pl.col("start_date").shift(-1) == day_after)).fill_null(False)
    return (
        _in_order(period)
        .select(
            "patient_index",
            day_after.alias("decrease_date"),
            pl.col("dose_mme").alias("dose_before_mme"),
            pl.when(goes_on).then(pl.col("dose_mme").shift(-1)).otherwise(0.0).alias("dose_after_mme"),
            (pl.col("is_lower_bound") | (goes_on & pl.col("is_lower_bound").shift(-1))).alias("is_lower_bound"),
        )
        .filter(pl.col("dose_after_mme") < pl.col("dose_before_mme"), ~pl.col("is_lower_bound"))
        .drop("is_lower_bound")
    )


def therapy_run(
    period: pl.DataFrame,
    bridge_days: int = 30,
    span_days: int = 120,
    min_covered_days: int = 90,
    is_across_runs: bool = False,
) -> pl.DataFrame:
    """Covered days joined into runs of therapy, and the day on which each run becomes long-term.

    Studies define long-term opioid therapy in dozens of ways. Here it is enough covered days in a trailing
    span; long_term_by_supply has the other kind.

    Args:
        period: The timeline as dose_period returns it, in any order.
        bridge_days: Longest gap, in uncovered days, that does not end a run.
        span_days: Length of the trailing span, in days, its last day included.
        min_covered_days: Covered days in the span that make a run long-term, from 1 to span_days. A bridged
            day is not covered.
        is_across_runs: Whether days of the patient's earlier runs count, too.

    Returns:
        One row per run: patient_index, start_date, end_date (inclusive), covered_days, long_term_date (the
        first day whose span holds min_covered_days, null if there is none). Sorted by patient_index and
        start_date.

    Raises:
        ValueError: A row lacks a patient or a date or ends before it starts, or periods overlap; or
            min_covered_days is not between 1 and span_days.
    """
    if not 1 <= min_covered_days <= span_days:
        raise ValueError("therapy_run: min_covered_days is not between 1 and span_days. Change either.")
    patient, start, end = _columns(_in_order(period))
    length = end - start + 1
    gap = np.zeros_like(start)
    gap[1:] = start[1:] - end[:-1] - 1
    is_new_patient = np.ones(len(start), dtype=bool)
    is_new_patient[1:] = patient[1:] != patient[:-1]
    is_new = is_new_patient | (gap > bridge_days)
    first = np.flatnonzero(is_new)
    last = np.append(first, len(start))[1:] - 1

    # Number the covered days: a run is long-term on its first day n for which, back to day
    # n - min_covered_days + 1, there are at most span_days - min_covered_days uncovered days. Inside a period
    # the uncovered days so far are constant, so one search finds the earliest period to count from; taking
    # span_days of them between runs, or between patients, keeps these apart.
    covered_before = np.cumsum(length) - length
    uncovered_before = np.cumsum(np.where(is_new_patient if is_across_runs else is_new, span_days, gap))
    earliest = np.searchsorted(uncovered_before, uncovered_before - (span_days - min_covered_days))
    days_in = np.maximum(covered_before[earliest] + min_covered_days - 1 - covered_before, 0)
    never = np.iinfo(np.int32).max
    long_term = np.minimum.reduceat(np.where(days_in < length, start + days_in, never), first)
    return pl.DataFrame(
        {
            "patient_index": patient[first].astype(np.int32),
            "start_date": _dates(start[first]),
            "end_date": _dates(end[last]),
            "covered_days": np.add.reduceat(length, first).astype(np.int32),
            "long_term_date": _dates(long_term).set(pl.Series(long_term == never), None),
        }
    )


def long_term_by_supply(
    run: pl.DataFrame,
    fill: pl.DataFrame,
    min_run_days: int = 91,
    min_supply_days: int = 120,
    min_fills: int = 10,
    span_days: int = 365,
) -> pl.DataFrame:
    """Runs of therapy that become long-term by how long they last and how much was handed out in them.

    After Von Korff 2008, Clin J Pain 24:521: more than 90 days, with 120 days of supply or 10 fills in a year.

    Args:
        run: Runs as therapy_run returns them.
        fill: Supplies handed out: patient_index, start_date, days_supply (null if unknown: a fill that adds no
            days), in any order. Those outside any run do not count.
        min_run_days: Days that the run has lasted, bridged gaps and the day itself included.
        min_supply_days: Days of supply handed out in the run within the span.
        min_fills: Fills in the run within the span, which suffice, too.
        span_days: Length of the trailing span, in days, its last day included.

    Returns:
        The runs with their long_term_date: the first day on which all of it holds, null if there is none.
    """
    patient, start, end = _columns(run)
    fill = fill.sort("patient_index", "start_date")
    of_patient, fill_day = (fill[name].to_physical().to_numpy().astype(np.int64) for name in _SPAN[:2])
    fill_key = _key(of_patient, fill_day)
    supply_before = np.append(0, np.cumsum(fill["days_supply"].fill_null(0).to_numpy().astype(np.int64)))

    # Supply only grows on the day of a fill, and the run is long enough from one day on: on no other day can both
    # begin to hold.
    own_run = np.searchsorted(_key(patient, start), fill_key, side="right") - 1
    reached = start + min_run_days - 1
    number = np.append(own_run, np.arange(len(start)))
    day = np.append(fill_day, reached)
    is_asked = number >= 0
    is_asked[: len(own_run)] &= patient[own_run] == of_patient if len(start) else False
    number, day = number[is_asked], day[is_asked]
    is_asked = (day >= reached[number]) & (day <= end[number])
    number, day = number[is_asked], day[is_asked]
    since = np.maximum(start[number], day - span_days + 1)
    first = np.searchsorted(fill_key, _key(patient[number], since))
    last = np.searchsorted(fill_key, _key(patient[number], day), side="right")
    is_met = (supply_before[last] - supply_before[first] >= min_supply_days) | (last - first >= min_fills)
    never = np.iinfo(np.int32).max
    long_term = np.full(len(start), never)
    np.minimum.at(long_term, number[is_met], day[is_met])
    return run.with_columns(long_term_date=_dates(long_term).set(pl.Series(long_term == never), None))


def _in_order(period: pl.DataFrame) -> pl.DataFrame:
    """The periods sorted by patient and start; refused if they are no timeline."""
    _refuse_faulty(period, "period")
    patient, start, end = _columns(period)
    key = _key(patient, start)
    if (key[1:] < key[:-1]).any():
        return _in_order(period[np.argsort(key)])
    if overlaps := np.count_nonzero((patient[1:] == patient[:-1]) & (start[1:] <= end[:-1])):
        raise ValueError(f"period: {overlaps} rows overlap the row before. Build them with dose_period.")
    return period


def _refuse_faulty(frame: pl.DataFrame, what: str) -> None:
    is_faulty = (
        pl.any_horizontal(pl.col(_SPAN).is_null())
        | (pl.col("patient_index") < 0)
        | (pl.col("end_date") < pl.col("start_date"))
    )
    if faulty := frame.select(is_faulty.sum()).item():
        raise ValueError(
            f"{what}: {faulty} rows lack patient_index, start_date or end_date, or end before they start. "
            "Quarantine them first."
        )


def _columns(frame: pl.DataFrame) -> list[Integers]:
    """Patient, first day and last day, the days counted from 1970."""
    return [frame[name].to_physical().to_numpy().astype(np.int64) for name in _SPAN]


def _key(patient: Integers, day: Integers) -> Integers:
    """Patient and day as one integer, which orders by patient and then by day."""
    return (patient << _DAY_BITS) + day


def _dates(day: Integers) -> pl.Series:
    return pl.Series(day.astype(np.int32)).cast(pl.Date)
