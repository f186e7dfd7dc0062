"""What the slow way of episodes and rules knows of one patient: lists of days, and a dose for each day in supply.

Dates are inclusive on both ends. Doses and scores are exact fractions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.daily_dose import ONE_DAY, Day


class Span(NamedTuple):
    """Days of one thing: a class of drugs, a stay, a fill."""

    name: str
    start: date
    end: date


class Fill(NamedTuple):
    """A record of opioid supply that counts in the timeline."""

    start: date
    end: date
    ingredient: str | None
    release: str | None
    has_days_supply: bool
    is_administration: bool


class Reading(NamedTuple):
    """A pain score that counts; unknown where it could not be read as a number."""

    day: date
    setting: str
    nrs: Fraction | None


class Dose(NamedTuple):
    """The dose of a window of days."""

    mean: Fraction | None  # over the days in supply; none if there are none
    over_all_days: Fraction  # days without supply are days of no dose
    covered_days: int
    unknown_days: int
    highest: Fraction | None
    share: Fraction


class Run(NamedTuple):
    """Therapy with short gaps bridged."""

    start: date
    end: date
    long_term_date: date | None


@dataclass(eq=False)
class Patient:
    """All that is known of a patient: ``diagnosed`` are days with a diagnosis, ``concepts`` what codes mean, by day."""

    index: int
    name: str
    source: str
    birth_year: int | None
    observed_from: date | None
    observed_to: date | None
    feeds: set[str]
    days: dict[date, Day] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    treated_for_disorder: list[Span] = field(default_factory=list)
    switches: list[tuple[date, str, str]] = field(default_factory=list)  # day, rotation or release_switch, to what
    abrupt_cuts: list[tuple[date, date]] = field(default_factory=list)  # day of the cut, last day it was measured on
    readings: list[Reading] = field(default_factory=list)
    diagnosed: set[date] = field(default_factory=set)
    concepts: set[tuple[date, str]] = field(default_factory=set)
    encounters: list[Span] = field(default_factory=list)
    stays: list[Span] = field(default_factory=list)  # in hospital
    care: list[Span] = field(default_factory=list)  # stays in long-term care
    exposures: list[Span] = field(default_factory=list)
    gabapentinoids: list[tuple[str, date, float | None]] = field(default_factory=list)  # ingredient, day, mg a day
    mentions: list[tuple[date, str]] = field(default_factory=list)  # not negated

    def dose(self, start: date, end: date) -> Dose:
        found = [self.days[day] for day in each_day(start, end) if day in self.days]
        total, length = Fraction(sum(day.dose_mme for day in found)), gap(end, start) + 1
        return Dose(
            mean=total / len(found) if found else None,
            over_all_days=total / length,
            covered_days=len(found),
            unknown_days=sum(day.is_lower_bound for day in found),
            highest=Fraction(max(day.dose_mme for day in found)) if found else None,
            share=Fraction(len(found), length),
        )

    def last_dose(self, start: date, end: date) -> Fraction | None:
        """The dose of the last day in supply: over a short gap the last supply counts."""
        found = [day for day in each_day(start, end) if day in self.days]
        return Fraction(self.days[found[-1]].dose_mme) if found else None

    def run_on(self, day: date) -> Run | None:
        return next((run for run in self.runs if run.start <= day <= run.end), None)

    @property
    def emergencies(self) -> set[date]:
        return {visit.start for visit in self.encounters if visit.name == "emergency"}

    def concept_days(self, concept: str) -> list[date]:
        return sorted(day for day, found in self.concepts if found == concept)


def on(day: date, number: int) -> date:
    return day + timedelta(days=number)


def each_day(start: date, end: date) -> Iterator[date]:
    while start <= end:
        yield start
        start += ONE_DAY


def gap(later: date, earlier: date) -> int:
    return (later - earlier).days


def rounded(value: Fraction | float | None) -> float | None:
    """As the project rounds: the ninth decimal."""
    return None if value is None else float(round(Fraction(value), 9))


def ratio(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return None if one is None or not other else one / other


def less(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return None if one is None or other is None else one - other


def mean(values: list[Fraction]) -> Fraction | None:
    return sum(values, Fraction(0)) / len(values) if values else None


def median(values: list[Fraction]) -> Fraction:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
