"""Every definition of a daily dose the slow and obvious way: a dictionary of days for each patient, exact fractions.

It shares no code and no idea with pipelines.dose_definitions, so that agreement means something. Doses of days come
from the oracle of the timeline, in MME rounded to 0.001; start and end dates are inclusive.
"""

import calendar
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from tests.oracle import daily_dose
from tests.oracle.daily_dose import ONE_DAY, Day, days_between

NAMES = (
    *(f"dasgupta_{number}" for number in (1, 2, 3, 4)),
    "zedler_sum",
    "cms_oms",
    "hedis_hdo",
    "cms460",
    "cdc_pdmp_quarterly",
    *(f"rolling_{days}" for days in (7, 30, 60, 90)),
)


OPEN_SUPPLY_DAYS = 180


class Record(NamedTuple):
    patient_index: int
    start_date: date
    end_date: date
    fill_date: date
    dose_micro_mme: int | None
    is_open_ended: bool = False


Value = Fraction | None
# patient_index, definition, daily_mme, is_lower_bound, window_start, window_end
Row = tuple[int, str, float | None, bool, date, date]


def rows(
    records: Iterable[Record], window: tuple[date, date], patient_count: int, gap_tolerance_days: int, clips: bool
) -> list[Row]:
    """What every definition says of every patient."""
    records = list(records)
    return in_order(
        row
        for patient in range(patient_count)
        for row in of_patient(
            [record for record in records if record.patient_index == patient],
            patient,
            window,
            gap_tolerance_days,
            clips,
        )
    )


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By patient, definition and window."""
    return sorted(rows, key=lambda row: (row[0], row[1], row[4]))


def of_patient(
    records: list[Record], patient: int, window: tuple[date, date], gap_tolerance_days: int, clips: bool
) -> Iterable[Row]:
    timeline = daily_dose.daily_dose(
        (0, record.start_date, record.end_date, record.dose_micro_mme) for record in records
    ).get(0, {})
    everything = Seen(records, timeline, *window) if clips else Seen.whole(records, timeline, window)
    six_months = Seen(records, timeline, max(window[0], six_months_before(window[1])), window[1])

    for name in NAMES:
        if name == "cdc_pdmp_quarterly":
            for first, last in quarters(*window):
                seen = Seen(records, timeline, max(first, window[0]), min(last, window[1]))
                if seen.days:
                    yield patient, name, *seen.per_supply(seen.total, len(seen.days)), seen.first, seen.last
            continue
        seen = six_months if name == "cms_oms" else everything
        yield patient, name, *valued(name, seen, gap_tolerance_days), seen.first, seen.last


class Seen:
    """The days and records of one patient that a definition looks at."""

    def __init__(self, records: list[Record], timeline: dict[date, Day], first: date, last: date) -> None:
        self.first, self.last = first, last
        self.days = {day: dose for day, dose in timeline.items() if first <= day <= last}
        within = [
            (record, [day for day in days_between(record.start_date, record.end_date) if first <= day <= last])
            for record in records
        ]
        self.records = [(record, days) for record, days in within if days]
        self.has_open_supply = any(
            record.is_open_ended and record.start_date <= last and (first - record.start_date).days < OPEN_SUPPLY_DAYS
            for record in records
        )

    @classmethod
    def whole(cls, records: list[Record], timeline: dict[date, Day], window: tuple[date, date]) -> "Seen":
        """All that is given, whatever the window."""
        seen = cls(records, timeline, date.min, date.max)
        seen.first, seen.last = window
        return seen

    @property
    def total(self) -> Fraction:
        return sum((Fraction(day.dose_mme) for day in self.days.values()), Fraction(0))

    @property
    def is_known(self) -> bool:
        has_none = not self.records and not self.has_open_supply
        return has_none or any(record.dose_micro_mme is not None for record, _ in self.records)

    @property
    def is_lower_bound(self) -> bool:
        return self.has_open_supply or any(day.is_lower_bound for day in self.days.values())

    def per(self, amount: Fraction, days: int) -> tuple[float | None, bool]:
        return (rounded(amount / days) if days and self.is_known else None), self.is_lower_bound

    def per_supply(self, amount: Fraction, days: int) -> tuple[float | None, bool]:
        """Nobody knows over how many days to take the mean where supply has no known end."""
        return (None, True) if self.has_open_supply else self.per(amount, days)


def valued(name: str, seen: Seen, gap_tolerance_days: int) -> tuple[float | None, bool]:
    covered = sorted(seen.days)
    window_days = (seen.last - seen.first).days + 1
    none = None, seen.is_lower_bound
    treatment_days = (covered[-1] - covered[0]).days + 1 if covered else 0
    if name == "dasgupta_1":
        return seen.per_supply(seen.total, sum(len(days) for _, days in seen.records))
    if name == "dasgupta_2":
        return seen.per_supply(seen.total, len(covered) + bridged(covered, gap_tolerance_days))
    if name == "dasgupta_3":
        return seen.per(seen.total, window_days)
    if name == "dasgupta_4":
        return seen.per(max((Fraction(day.dose_mme) for day in seen.days.values()), default=Fraction(0)), 1)
    if name == "zedler_sum":
        doses = [record.dose_micro_mme for record, _ in seen.records]
        amount, _ = seen.per(Fraction(sum(dose for dose in doses if dose is not None), 10**6), min(len(doses), 1))
        return amount, None in doses or seen.has_open_supply
    if name == "cms_oms":
        return seen.per_supply(seen.total, treatment_days)
    if name == "hedis_hdo":
        fills = {record.fill_date for record, _ in seen.records if seen.first <= record.fill_date <= seen.last}
        return seen.per_supply(seen.total, treatment_days) if len(fills) >= 2 and len(covered) >= 15 else none
    if name == "cms460":
        reached = [
            sorted((seen.days[day].dose_mme for day in run), reverse=True)[89]
            for run in runs(covered, 7)
            if len(run) >= 90
        ]
        return seen.per(Fraction(max(reached)), 1) if reached else none
    span_days = int(name.removeprefix("rolling_"))
    if span_days > window_days:
        return none
    doses = {day: Fraction(dose.dose_mme) for day, dose in seen.days.items()}
    begins = days_between(covered[0] - (span_days - 1) * ONE_DAY, covered[-1]) if covered else []
    sums = (sum(doses.get(begin + day * ONE_DAY, 0) for day in range(span_days)) for begin in begins)
    return seen.per(max(sums, default=Fraction(0)), span_days)


def bridged(covered: list[date], gap_tolerance_days: int) -> int:
    """Uncovered days in gaps no longer than the tolerance."""
    gaps = [(after - before).days - 1 for before, after in pairwise(covered)]
    return sum(gap for gap in gaps if gap <= gap_tolerance_days)


def runs(covered: list[date], gap_days: int) -> list[list[date]]:
    found: list[list[date]] = []
    for day in covered:
        if found and (day - found[-1][-1]).days - 1 <= gap_days:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def quarters(first: date, last: date) -> list[tuple[date, date]]:
    return [
        (date(year, month, 1), date(year, month + 2, calendar.monthrange(year, month + 2)[1]))
        for year in range(first.year, last.year + 1)
        for month in (1, 4, 7, 10)
    ]


def six_months_before(last: date) -> date:
    """First day of the six months that end with a day."""
    after = last + timedelta(days=1)
    year, month = (after.year, after.month - 6) if after.month > 6 else (after.year - 1, after.month + 6)
    return date(year, month, min(after.day, calendar.monthrange(year, month)[1]))


def rounded(amount: Fraction) -> float:
    """Half up to 0.001."""
    return float(Decimal((2000 * amount.numerator + amount.denominator) // (2 * amount.denominator)) / 1000)
