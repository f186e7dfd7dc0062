"""The dose timeline the slow and obvious way: one dictionary entry per patient and day, exact decimals.

It shares no code and no idea with pipelines.dose_timeline, so that agreement means something. Rows are tuples;
start and end dates are inclusive.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

ONE_DAY = timedelta(days=1)


class Day(NamedTuple):
    dose_mme: Decimal
    is_lower_bound: bool


Record = tuple[int, date, date, int | None]  # patient_index, start_date, end_date, dose_micro_mme
Days = dict[int, dict[date, Day]]  # by patient


def days_between(start: date, end: date) -> list[date]:
    return [start + n * ONE_DAY for n in range((end - start).days + 1)]


def daily_dose(records: Iterable[Record]) -> Days:
    """Every covered day of every patient."""
    active = defaultdict(lambda: defaultdict(list))
    for patient, start, end, micro_mme in records:
        for day in days_between(start, end):
            active[patient][day].append(micro_mme)
    return {
        patient: {
            day: Day(
                (sum(Decimal(dose) for dose in doses if dose is not None) / Decimal(1_000_000)).quantize(
                    Decimal("0.001"), rounding=ROUND_HALF_UP
                ),
                None in doses,
            )
            for day, doses in days.items()
        }
        for patient, days in active.items()
    }


def dose_period(days: Days) -> list[tuple]:
    """(patient_index, start_date, end_date, dose_mme, is_lower_bound), sorted."""
    periods = []
    for patient in sorted(days):
        for day, now in sorted(days[patient].items()):
            if days[patient].get(day - ONE_DAY) == now:
                periods[-1][2] = day
            else:
                periods.append([patient, day, day, float(now.dose_mme), now.is_lower_bound])
    return [tuple(period) for period in periods]


def window_total(days: Days, patient: int, start: date, end: date) -> tuple[float, int, int]:
    """(dose_mme_days, covered_days, lower_bound_days) of one window."""
    found = [days[patient][day] for day in days_between(start, end) if day in days.get(patient, {})]
    return float(sum(day.dose_mme for day in found)), len(found), sum(day.is_lower_bound for day in found)


def dose_increase(days: Days) -> list[tuple]:
    """(patient_index, increase_date, dose_before_mme, dose_after_mme), sorted."""
    increases = []
    for patient in sorted(days):
        for day, now in sorted(days[patient].items()):
            before = days[patient].get(day - ONE_DAY, Day(Decimal(0), False))
            if now.dose_mme > before.dose_mme and not now.is_lower_bound and not before.is_lower_bound:
                increases.append((patient, day, float(before.dose_mme), float(now.dose_mme)))
    return increases


def therapy_run(
    days: Days, bridge_days: int, span_days: int, min_covered_days: int, is_across_runs: bool = False
) -> list[tuple]:
    """(patient_index, start_date, end_date, covered_days, long_term_date), sorted."""
    runs = []
    for patient in sorted(days):
        of_patient: list[list[date]] = []
        for day in sorted(days[patient]):
            if of_patient and (day - of_patient[-1][-1]).days - 1 <= bridge_days:
                of_patient[-1].append(day)
            else:
                of_patient.append([day])
        for covered in of_patient:
            long_term_date = None
            for day in days_between(covered[0], covered[-1]):
                counted = days[patient] if is_across_runs else covered
                in_span = [other for other in counted if 0 <= (day - other).days < span_days]
                if len(in_span) >= min_covered_days:
                    long_term_date = day
                    break
            runs.append((patient, covered[0], covered[-1], len(covered), long_term_date))
    return runs


def long_term_by_supply(
    runs: list[tuple], fills: list[tuple], min_run_days: int, min_supply_days: int, min_fills: int, span_days: int
) -> list[date | None]:
    """The first day of each run on which it is long enough and has enough supply or fills."""
    found = []
    for patient, start, end, *_ in runs:
        long_term_date = None
        for day in days_between(start, end):
            supplies = [
                supply
                for who, filled, supply in fills
                if who == patient and start <= filled <= day and (day - filled).days < span_days
            ]
            if (day - start).days + 1 >= min_run_days and (
                sum(supplies) >= min_supply_days or len(supplies) >= min_fills
            ):
                long_term_date = day
                break
        found.append(long_term_date)
    return found
