"""Escalations and tapers the slow and obvious way, from one dictionary of days: exact fractions, no windows shared.

Follows the definitions in words: means over the days in supply, a window that is wholly without supply is a dose of
0 after a fall, unknown days make no event.
"""

from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction

from tests.oracle.daily_dose import ONE_DAY, Day, Days, days_between

Window = tuple[Fraction | None, Fraction, bool]  # mean dose, share of days covered, all doses known


def window(of_patient: dict[date, Day], day: date, first: int, last: int) -> Window:
    days = days_between(day + timedelta(days=first), day + timedelta(days=last))
    found = [of_patient[day] for day in days if day in of_patient]
    mean = sum(Fraction(day.dose_mme) for day in found) / len(found) if found else None
    return mean, Fraction(len(found), len(days)), not any(day.is_lower_bound for day in found)


def changes(of_patient: dict[date, Day], is_rise: bool) -> list[date]:
    """Days whose dose is surely higher, or surely lower, than that of the day before."""
    nothing = Day(0, False)
    found = []
    for day in sorted({*of_patient, *(day + ONE_DAY for day in of_patient)}):
        before, now = of_patient.get(day - ONE_DAY, nothing), of_patient.get(day, nothing)
        has_changed = now.dose_mme > before.dose_mme if is_rise else now.dose_mme < before.dose_mme
        if has_changed and not before.is_lower_bound and not now.is_lower_bound:
            found.append(day)
    return found


def escalations(days: Days, before: tuple[int, int], after: tuple[int, int], is_enough: Callable) -> set:
    """(patient, day) where the mean of a covered window after the rise is enough above that before."""
    found = set()
    for patient, of_patient in days.items():
        for day in changes(of_patient, is_rise=True):
            old, old_share, old_known = window(of_patient, day, *before)
            new, new_share, new_known = window(of_patient, day, *after)
            if (
                old
                and new is not None
                and min(old_share, new_share) >= Fraction(4, 5)
                and old_known
                and new_known
                and is_enough(old, new)
            ):
                found.add((patient, day))
    return found


def hayes(days: Days) -> set:
    return escalations(days, (-182, -1), (0, 181), lambda old, new: new > old * Fraction(6, 5))


def henry(days: Days) -> set:
    return escalations(days, (-90, -1), (275, 364), lambda old, new: new >= old + 30)


def is_stable(of_patient: dict[date, Day], day: date, mean: Fraction, months: int) -> bool:
    for month in range(1, months + 1):
        of_month, share, _ = window(of_patient, day, -30 * month, -30 * month + 29)
        if of_month is None or share < Fraction(4, 5) or abs(of_month - mean) > mean / 10:
            return False
    return True


def tapers(days: Days, last_date: date, months: int, is_fenton: bool) -> set:
    found = set()
    for patient, of_patient in days.items():
        for day in changes(of_patient, is_rise=False):
            old, old_share, old_known = window(of_patient, day, -30 * months, -1)
            if not old or not old_known or old_share < Fraction(4, 5):
                continue
            if is_fenton and (old < 50 or not is_stable(of_patient, day, old, months)):
                continue
            for start in (0, 30, 60, 90, 120, 150):
                new, _, new_known = window(of_patient, day, start, start + 59)
                is_seen = day + timedelta(days=start + 59) <= last_date
                if is_seen and new_known and (new or 0) <= old * Fraction(17, 20):
                    found.add((patient, day))
    return found
