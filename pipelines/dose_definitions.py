"""Every published way to say "morphine equivalents per day", each a reduction of the one dose timeline.

All of them see the same days: records and timeline are clipped to the window first, unless a study asks for whole
supplies as its peers take them. A day in supply whose dose is not known makes a result a lower bound; where no dose at
all is known, the result is NULL. ``docs/dose_definitions`` has formulas, sources and caveats.

Doses are whole thousandths of an MME and days whole numbers until the last division, so that results do not depend on
the order of rows, on threads or on batches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.dose_timeline import Integers

SCHEMA = {
    "patient_index": pl.Int32,
    "definition": pl.String,
    "daily_mme": pl.Float64,
    "is_lower_bound": pl.Boolean,
    "window_start": pl.Date,
    "window_end": pl.Date,
}
ROLLING_DAYS = (7, 30, 60, 90)
HEDIS_DAYS = 15
CMS460_GAP_DAYS, CMS460_DAYS = 7, 90
OMS_MONTHS = 6

Result = tuple[Integers, NDArray[np.bool_]]  # thousandths of an MME per day, NONE where there is no dose; lower bound
NONE = -1


@dataclass(frozen=True)
class Days:
    """Timeline and records of a window, patient by patient.

    Attributes:
        base: Number of the first patient; here patients are numbered from 0.
        patient_count: Patients.
        first, last: Window, in days since 1970, both inclusive.
        patient, start, end, milli_mme, is_lower_bound: The timeline, sorted by patient and start.
        record_patient, record_start, record_end, record_micro_mme: The records; the dose -1 where it is unknown.
        record_fill: Days on which the records were dispensed, wherever a policy put their supply.
        open_patient, open_start: Records of which nobody knows how long they last.
        open_supply_days: How long one of those may last.
        gap_tolerance_days: Longest gap in supply that counts as on therapy.
    """

    base: int
    patient_count: int
    first: int
    last: int
    patient: Integers
    start: Integers
    end: Integers
    milli_mme: Integers
    is_lower_bound: NDArray[np.bool_]
    record_patient: Integers
    record_start: Integers
    record_end: Integers
    record_micro_mme: Integers
    record_fill: Integers
    open_patient: Integers
    open_start: Integers
    open_supply_days: int
    gap_tolerance_days: int

    @cached_property
    def length(self) -> Integers:
        return self.end - self.start + 1

    @cached_property
    def mme_days(self) -> Integers:
        """Thousandths of an MME x days of each patient."""
        return self.summed(self.milli_mme * self.length)

    @cached_property
    def covered_days(self) -> Integers:
        return self.summed(self.length)

    @cached_property
    def has_open_supply(self) -> NDArray[np.bool_]:
        """Patients with supply of unknown length that may reach these days."""
        return np.bincount(self.open_patient, minlength=self.patient_count) > 0

    @cached_property
    def has_lower_bound(self) -> NDArray[np.bool_]:
        return (self.summed(self.is_lower_bound.astype(np.int64)) > 0) | self.has_open_supply

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        """Patients with a known dose, or with no record at all: who takes nothing takes 0 a day."""
        known = np.bincount(self.record_patient[self.record_micro_mme >= 0], minlength=self.patient_count) > 0
        has_none = np.bincount(self.record_patient, minlength=self.patient_count) == 0
        return known | (has_none & ~self.has_open_supply)

    @cached_property
    def bounds(self) -> tuple[Integers, Integers]:
        """First period of each patient, and the one after the last."""
        edges = np.searchsorted(self.patient, np.arange(self.patient_count + 1))
        return edges[:-1], edges[1:]

    @cached_property
    def gap_before(self) -> Integers:
        """Days without supply before each period; 0 for a patient's first."""
        gap = np.zeros_like(self.start)
        gap[1:] = np.where(self.patient[1:] == self.patient[:-1], self.start[1:] - self.end[:-1] - 1, 0)
        return gap

    def summed(self, values: Integers) -> Integers:
        """Sums of the periods of each patient."""
        first, after = self.bounds
        total = np.append(0, np.cumsum(values))
        return total[after] - total[first]

    def highest(self, values: Integers) -> Integers:
        """The highest value of each patient's periods, 0 if there are none."""
        highest = np.zeros(self.patient_count, dtype=np.int64)
        first, after = self.bounds
        has = np.flatnonzero(after > first)
        if len(has):
            highest[has] = np.maximum.reduceat(values, first[has])
        return highest

    @cached_property
    def turns(self) -> tuple[Integers, Integers]:
        """Periods after which the dose falls, and those with which it rose."""
        goes_on = np.zeros(len(self.start), dtype=bool)
        goes_on[1:] = (self.patient[1:] == self.patient[:-1]) & (self.gap_before[1:] == 0)
        dose_before = np.where(goes_on, np.roll(self.milli_mme, 1), 0)
        dose_after = np.where(np.roll(goes_on, -1), np.roll(self.milli_mme, -1), 0)
        return np.flatnonzero(self.milli_mme > dose_after), np.flatnonzero(self.milli_mme > dose_before)

    @cached_property
    def until(self) -> Integers:
        """Thousandths of an MME x days before each period and after the last, those of earlier patients included."""
        return np.append(0, np.cumsum(self.milli_mme * self.length))

    @cached_property
    def _knots(self) -> tuple[Integers, Integers, Integers, Integers]:
        """Where each period begins and what lies before it; where it stops and its dose, an empty one before all."""
        patient_key = self.patient << _DAY_BITS
        stop = np.append(0, patient_key + self.end + 1)
        return patient_key + self.start, self.until, stop, np.append(0, self.milli_mme)

    def before(self, key: Integers) -> Integers:
        """Thousandths of an MME x days before a day of a patient (one integer), those of earlier patients included."""
        begin, before, stop, milli_mme = self._knots
        begun = np.searchsorted(begin, key)
        return before[begun] - milli_mme[begun] * np.maximum(stop[begun] - key, 0)

    def per(self, amount: Integers, days: Integers) -> Result:
        """Amount per day, rounded half up; NONE where there are no days or nothing is known."""
        has = (days > 0) & self.is_known
        days = np.maximum(days, 1)
        return np.where(has, (2 * amount + days) // (2 * days), NONE), self.has_lower_bound

    def per_supply(self, amount: Integers, days: Integers) -> Result:
        """Amount per day in supply; NONE where nobody knows how many days those are: it would be no bound at all."""
        found, is_lower_bound = self.per(amount, days)
        return np.where(self.has_open_supply, NONE, found), is_lower_bound


def total_days_supply(days: Days) -> Result:
    """Dasgupta definition 1: MME in the window over the days supply of all records added up."""
    supply = np.bincount(
        days.record_patient, days.record_end - days.record_start + 1, minlength=days.patient_count
    ).astype(np.int64)
    return days.per_supply(days.mme_days, supply)


def on_therapy_days(days: Days) -> Result:
    """Dasgupta definition 2: MME in the window over the days in supply, with gaps up to the tolerance."""
    bridged = days.summed(np.where(days.gap_before <= days.gap_tolerance_days, days.gap_before, 0))
    return days.per_supply(days.mme_days, days.covered_days + bridged)


def opioid_days(days: Days) -> Result:
    """CDC PDMP indicator: MME over the days in supply."""
    return days.per_supply(days.mme_days, days.covered_days)


def fixed_window(days: Days) -> Result:
    """Dasgupta definition 3: MME in the window over all its days."""
    return days.per(days.mme_days, np.full(days.patient_count, days.last - days.first + 1))


def maximum_day(days: Days) -> Result:
    """Dasgupta definition 4: the highest dose of a day, overlapping supplies added up."""
    return days.per(days.highest(days.milli_mme), np.ones(days.patient_count, dtype=np.int64))


def zedler_sum(days: Days) -> Result:
    """Zedler 2014: the daily doses of all records added up, whatever their dates."""
    is_known = days.record_micro_mme >= 0
    micro_mme = np.zeros(days.patient_count, dtype=np.int64)
    np.add.at(micro_mme, days.record_patient[is_known], days.record_micro_mme[is_known])
    records = np.bincount(days.record_patient, minlength=days.patient_count)
    amount, _ = days.per((micro_mme + 500) // 1000, (records > 0).astype(np.int64))
    unknown = np.bincount(days.record_patient[~is_known], minlength=days.patient_count) > 0
    return amount, unknown | days.has_open_supply


def treatment_period(days: Days) -> Result:
    """CMS OMS: MME over the days from the first to the last in supply."""
    first, after = days.bounds
    has = after > first
    spanned = np.zeros(days.patient_count, dtype=np.int64)
    spanned[has] = days.end[after[has] - 1] - days.start[first[has]] + 1
    return days.per_supply(days.mme_days, spanned)


def hedis_hdo(days: Days) -> Result:
    """HEDIS HDO: the same, for patients with fills on two days of the window and 15 days in supply; else NULL."""
    in_window = np.flatnonzero((days.record_fill >= days.first) & (days.record_fill <= days.last))
    patient, fill = days.record_patient[in_window], days.record_fill[in_window]
    first_fill = np.full(days.patient_count, np.iinfo(np.int64).max)
    last_fill = np.full(days.patient_count, np.iinfo(np.int64).min)
    np.minimum.at(first_fill, patient, fill)
    np.maximum.at(last_fill, patient, fill)
    eligible = (first_fill < last_fill) & (days.covered_days >= HEDIS_DAYS)
    amount, is_lower_bound = treatment_period(days)
    return np.where(eligible, amount, NONE), is_lower_bound


def cms460(days: Days) -> Result:
    """CMS460: the dose reached on 90 days of therapy with gaps of at most 7 days; NULL without such therapy."""
    is_new = days.gap_before > CMS460_GAP_DAYS
    is_new[days.bounds[0][days.bounds[1] > days.bounds[0]]] = True
    run = np.cumsum(is_new) - 1
    highest_first = _ordered(run, -days.milli_mme)
    length = days.length[highest_first]
    reached = np.cumsum(length)
    first_of_run = np.flatnonzero(is_new)
    reached -= np.append(0, reached)[first_of_run][run]
    is_90th = (reached >= CMS460_DAYS) & (reached - length < CMS460_DAYS)
    dose = np.full(days.patient_count, NONE, dtype=np.int64)
    np.maximum.at(dose, days.patient[highest_first][is_90th], days.milli_mme[highest_first][is_90th])
    return np.where(days.is_known, dose, NONE), days.has_lower_bound


def rolling(days: Days, span_days: int) -> Result:
    """The highest mean of ``span_days`` consecutive days of the window; NULL if the window is shorter.

    As the span moves on by a day, a day's dose enters and one leaves, so its sum is first the highest where it ends
    with a day before the dose falls, or begins with a day on which it rose: nothing else is looked at. Where such a
    span reaches beyond a window that is long enough, one inside it holds as much.
    """
    if span_days > days.last - days.first + 1:
        return np.full(days.patient_count, NONE), days.has_lower_bound
    (falls, rises), until = days.turns, days.until
    highest = np.zeros_like(days.milli_mme)
    since = days.before((days.patient[falls] << _DAY_BITS) + days.end[falls] - span_days + 1)
    highest[falls] = until[falls + 1] - since
    beyond = days.before((days.patient[rises] << _DAY_BITS) + days.start[rises] + span_days)
    highest[rises] = np.maximum(highest[rises], beyond - until[rises])
    return days.per(days.highest(highest), np.full(days.patient_count, span_days))


def _ordered(group: Integers, value: Integers) -> Integers:
    """Order by group, then value; as one integer where both fit, which sorts several times faster."""
    least = value.min(initial=0)
    bits = int(value.max(initial=0) - least).bit_length()
    if int(group.max(initial=0)).bit_length() + bits > 63:
        return np.lexsort((value, group))
    return np.argsort(group << bits | (value - least))


DEFINITIONS: Mapping[str, Callable[[Days], Result]] = {
    "dasgupta_1": total_days_supply,
    "dasgupta_2": on_therapy_days,
    "dasgupta_3": fixed_window,
    "dasgupta_4": maximum_day,
    "zedler_sum": zedler_sum,
    "cms_oms": treatment_period,  # of the last six months
    "hedis_hdo": hedis_hdo,
    "cms460": cms460,
    "cdc_pdmp_quarterly": opioid_days,  # of each calendar quarter
} | {f"rolling_{span_days}": partial(rolling, span_days=span_days) for span_days in ROLLING_DAYS}

_EPOCH = date(1970, 1, 1).toordinal()
_DAY_BITS = 32
_BATCH_PATIENTS = 8192


def daily_dose(
    period: pl.DataFrame,
    record: pl.DataFrame,
    window: tuple[date, date],
    patient_count: int,
    definitions: Sequence[str] = tuple(DEFINITIONS),
    gap_tolerance_days: int = 0,
    clips: bool = True,
    open_supply_days: int = 180,
) -> pl.DataFrame:
    """Every patient's daily dose by several definitions.

    Args:
        period: The timeline as dose_timeline.dose_period returns it.
        record: The records it was made of, as overlap.overlapped returns them: patient_index, start_date, end_date,
            fill_date, dose_micro_mme, is_open_ended (nobody knows how long it lasts).
        window: First and last day, both inclusive.
        patient_count: Patients; patient_index runs from 0.
        definitions: Names out of DEFINITIONS.
        gap_tolerance_days: Longest gap in supply that counts as on therapy, for dasgupta_2 alone.
        clips: Only days inside the window count; else all that is given does, divided by the days of the window where
            a definition has a fixed one. The six months of cms_oms and the quarters of cdc_pdmp_quarterly always clip.
        open_supply_days: How long supply of unknown length may last. Whatever it may reach is a lower bound, and a mean
            over days in supply is NULL, since nobody knows how many they are.

    Returns:
        One row per patient and definition, for cdc_pdmp_quarterly one per patient and quarter in which there was
        supply: patient_index, definition, daily_mme (NULL where the definition has no days to divide by or no dose is
        known), is_lower_bound, window_start and window_end (as the definition uses them).
    """
    first, last = map(_number, window)

    def reduced(days: Days) -> pl.DataFrame:
        days = clipped(days, first, last) if clips else replace(days, first=first, last=last)
        found = [_frame(name, part, DEFINITIONS[name](part)) for name in definitions for part in _windows(name, days)]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *found])

    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        parts = list(pool.map(reduced, _batches(period, record, patient_count, gap_tolerance_days, open_supply_days)))
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts], rechunk=False)


def clipped(days: Days, first: int, last: int) -> Days:
    """The same patients, with what lies between two days, both inclusive."""
    period = np.flatnonzero((days.end >= first) & (days.start <= last))
    record = np.flatnonzero((days.record_end >= first) & (days.record_start <= last))
    is_open = (days.open_start <= last) & (days.open_start + days.open_supply_days > first)
    return replace(
        days,
        first=first,
        last=last,
        patient=days.patient[period],
        start=np.maximum(days.start[period], first),
        end=np.minimum(days.end[period], last),
        milli_mme=days.milli_mme[period],
        is_lower_bound=days.is_lower_bound[period],
        record_patient=days.record_patient[record],
        record_start=np.maximum(days.record_start[record], first),
        record_end=np.minimum(days.record_end[record], last),
        record_micro_mme=days.record_micro_mme[record],
        record_fill=days.record_fill[record],
        open_patient=days.open_patient[is_open],
        open_start=days.open_start[is_open],
    )


def _windows(name: str, days: Days) -> Iterator[Days]:
    """What a definition looks at: the window, its last six months, or every calendar quarter with supply."""
    if name == "cms_oms":
        # Counted from the day after, so that a window which ends with a month has whole months.
        since = pl.select(pl.lit(_date(days.last + 1)).dt.offset_by(f"-{OMS_MONTHS}mo")).item()
        yield clipped(days, max(_number(since), days.first), days.last)
    elif name != "cdc_pdmp_quarterly":
        yield days
    elif len(days.start):
        first, last = max(int(days.start.min()), days.first), min(int(days.end.max()), days.last)
        begun = pl.date_range(_date(first), _date(last), "1d", eager=True)
        for begin in begun.dt.truncate("1q").unique().sort():
            end = pl.select(pl.lit(begin).dt.offset_by("1q")).item()
            yield clipped(days, max(_number(begin), days.first), min(_number(end) - 1, days.last))


def _batches(
    period: pl.DataFrame, record: pl.DataFrame, patient_count: int, gap_tolerance_days: int, open_supply_days: int
) -> Iterator[Days]:
    """A few thousand patients at a time, numbered from 0 in each, which keeps memory small and feeds the threads."""
    edges = range(0, patient_count, _BATCH_PATIENTS)
    batch_of_record = (record["patient_index"].to_numpy() // _BATCH_PATIENTS).astype(np.uint16)
    order = np.argsort(batch_of_record, kind="stable")  # by radix
    records = np.searchsorted(batch_of_record[order], np.arange(len(edges) + 1))
    periods = period["patient_index"].search_sorted(pl.Series([*edges, patient_count], dtype=pl.Int32)).to_numpy()
    for batch, base in enumerate(edges):
        of_batch = period[periods[batch] : periods[batch + 1]]
        made_of = record[order[records[batch] : records[batch + 1]]]
        open_ended = made_of.filter("is_open_ended")
        yield Days(
            base=base,
            patient_count=min(_BATCH_PATIENTS, patient_count - base),
            first=0,
            last=0,
            patient=_whole(of_batch, "patient_index") - base,
            start=_whole(of_batch, "start_date"),
            end=_whole(of_batch, "end_date"),
            milli_mme=np.rint(of_batch["dose_mme"].to_numpy() * 1000).astype(np.int64),
            is_lower_bound=of_batch["is_lower_bound"].to_numpy(),
            record_patient=_whole(made_of, "patient_index") - base,
            record_start=_whole(made_of, "start_date"),
            record_end=_whole(made_of, "end_date"),
            record_micro_mme=made_of["dose_micro_mme"].fill_null(-1).to_numpy(),
            record_fill=_whole(made_of, "fill_date"),
            open_patient=_whole(open_ended, "patient_index") - base,
            open_start=_whole(open_ended, "start_date"),
            open_supply_days=open_supply_days,
            gap_tolerance_days=gap_tolerance_days,
        )


def _whole(frame: pl.DataFrame, name: str) -> Integers:
    return frame[name].to_physical().to_numpy().astype(np.int64)


def _frame(name: str, days: Days, result: Result) -> pl.DataFrame:
    milli_mme, is_lower_bound = result
    is_quarter = name == "cdc_pdmp_quarterly"
    patient = np.flatnonzero(days.covered_days > 0) if is_quarter else np.arange(days.patient_count)
    rows = len(patient)
    known = pl.Series(milli_mme[patient] / 1000)
    return pl.DataFrame(
        {
            "patient_index": (patient + days.base).astype(np.int32),
            "definition": pl.Series([name]).new_from_index(0, rows),
            "daily_mme": known.set(known < 0, None),
            "is_lower_bound": is_lower_bound[patient],
            "window_start": pl.Series([_date(days.first)]).new_from_index(0, rows),
            "window_end": pl.Series([_date(days.last)]).new_from_index(0, rows),
        },
        schema=SCHEMA,
    )


def _number(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - _EPOCH


def _date(number: int) -> date:
    return date.fromordinal(number + _EPOCH)
