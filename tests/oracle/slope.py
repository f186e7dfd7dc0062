"""How pain goes with the dose of weeks before, by the two equations of a ridge written out; the interval is not told."""

from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import log2, sqrt

from tests.oracle import dose_event, window
from tests.oracle.episode import Episode
from tests.oracle.patient import Patient, gap, on


def scored_weeks(episode: Episode) -> list[tuple[float, float, float]]:
    """Doublings of the dose, years and pain of each scored week of look-back and response window."""
    day, patient, found = episode.day, episode.patient, []
    for first, last in ((-365, -1), (36, 90)):
        for week, nrs in window.weeks(patient, on(day, first), on(day, last), known_on=on(day, 90)).items():
            dose = patient.dose(on(week, -27), on(week, -14))
            if dose.mean and not dose.unknown_days:
                found.append((log2(dose.mean), gap(week, day) / 365, float(nrs)))
    return found


def fitted(episode: Episode) -> tuple[int, float | None, float | None]:
    """Scored weeks, SD of the doublings, and the slope of pain on them beside time."""
    points = scored_weeks(episode)
    count = len(points)
    if count < 2:
        return count, None, None
    level = [sum(column) / count for column in zip(*points, strict=True)]
    dose, time, pain = zip(
        *([value - mean for value, mean in zip(point, level, strict=True)] for point in points), strict=True
    )
    dose_dose, time_time = sum(x * x for x in dose) + 1, sum(t * t for t in time) + 1  # the ridge
    dose_time = sum(x * t for x, t in zip(dose, time, strict=True))
    dose_pain = sum(x * y for x, y in zip(dose, pain, strict=True))
    time_pain = sum(t * y for t, y in zip(time, pain, strict=True))
    slope = (time_time * dose_pain - dose_time * time_pain) / (dose_dose * time_time - dose_time**2)
    return count, sqrt((dose_dose - 1) / (count - 1)), slope


def step_count(episode: Episode) -> int:
    """Rises and falls for good in the look-back, or before the response window's last 28 days."""
    return sum(-365 <= gap(day, episode.day) <= 90 - 28 + 1 for day in steps(episode.patient))


def steps(patient: Patient) -> list[date]:
    """Days on which the mean of 28 days rose by 20 % or fell as much, one for those less than 28 days apart."""
    found = []
    for day in sorted({*dose_event.changes(patient.days, True), *dose_event.changes(patient.days, False)}):
        before, after = patient.dose(on(day, -28), on(day, -1)), patient.dose(day, on(day, 27))
        if before.unknown_days or after.unknown_days or min(before.share, after.share) < Fraction(8, 10):
            continue
        if after.mean >= Fraction(12, 10) * before.mean or before.mean >= Fraction(12, 10) * after.mean:
            found.append(day)
    return found[:1] + [day for last, day in pairwise(found) if gap(day, last) >= 28]
