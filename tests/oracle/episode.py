"""Candidate episodes the slow and obvious way: day by day, from the words of the methods.

A day begins an episode if the dose rose on it for good, on long-term therapy. Sham dates and rises of pain begin
episodes of kinds of their own. Days that follow one another closely are one episode.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from hashlib import md5
from itertools import pairwise

from tests.oracle import dose_event, window
from tests.oracle.patient import Patient, gap, less, on, ratio, rounded

EXCLUDING = ("active_cancer", "palliative_care", "sickle_cell_disease", "pregnancy", "intrathecal_pump")


@dataclass
class Index:
    """A day that begins an episode or a further step of one."""

    day: date
    before: Fraction
    after: Fraction
    sustained: Fraction | None  # mean of the first 28 days, where the dose rose


@dataclass
class Episode:
    patient: Patient
    kind: str
    first: Index
    step_count: int
    known_step_count: int
    is_linked: bool
    linked_since: date

    @property
    def name(self) -> str:
        name = f"{self.patient.index}-{self.day}"
        return name if self.kind == "dose_led" else f"{name}-{self.kind}"

    @property
    def day(self) -> date:
        return self.first.day

    @property
    def prior_therapy_days(self) -> int:
        return gap(self.day, self.patient.run_on(self.day).start)

    @property
    def followed_to(self) -> date | None:
        """The end of what is observed, or the day of cancer, palliative care or a second operation after day 90."""
        patient = self.patient
        endings = [patient.observed_to] if patient.observed_to else []
        endings += [day for day in patient.concept_days("active_cancer") if day >= self.day]
        endings += [day for day in patient.concept_days("palliative_care") if day >= self.day]
        endings += [stay.start for stay in patient.encounters if stay.name == "hospice" and stay.start >= self.day]
        endings += [day for day in patient.concept_days("surgery") if gap(day, self.day) > 90][1:2]
        return min(endings, default=None)

    @property
    def follow_up_days(self) -> int | None:
        return None if self.followed_to is None else gap(self.followed_to, self.day)

    def is_followed_to(self, number: int) -> bool:
        return self.follow_up_days is not None and self.follow_up_days >= number


def episodes(patient: Patient) -> list[Episode]:
    """All episodes of a patient, excluded ones too."""
    found = []
    for kind, indexes in index_days(patient).items():
        found += chained(patient, kind, indexes)
    return found


def index_days(patient: Patient) -> dict[str, list[Index]]:
    maintained = [index for day in first_fills_of_months(patient) if (index := stable(patient, day))]
    gabapentinoid = [index for day in gabapentinoid_steps(patient) if (index := stable(patient, day))]
    pain_led = [index for day in rises_of_pain(patient) if (index := stable(patient, day, is_late_too=True))]
    return {
        "dose_led": escalations(patient),
        "sham_maintainer": [index for index in maintained if is_drawn(patient, index.day)],
        "sham_gabapentinoid": gabapentinoid,
        "pain_led": pain_led,
    }


def is_drawn(patient: Patient, day: date) -> bool:
    """One date in about seven, by the patient's name and the date."""
    digest = md5(f"{patient.name}{day}".encode()).digest()
    return int.from_bytes(digest[8:], "little") % 10_000 < 1_500


def mean(patient: Patient, day: date, first: int, last: int) -> Fraction | None:
    return patient.dose(on(day, first), on(day, last)).mean


# Days on which an episode may begin


def escalations(patient: Patient) -> list[Index]:
    """First days of a rise: 20 % and 5 MME over 60 days against the 90 before, kept for 28, on long-term therapy."""
    found = []
    for day in dose_event.changes(patient.days, is_rise=True):
        before, after = patient.dose(on(day, -90), on(day, -1)), patient.dose(day, on(day, 59))
        sustained = patient.dose(day, on(day, 27)).mean
        if before.unknown_days or after.unknown_days:
            continue
        if before.share < Fraction(8, 10) or after.share < Fraction(8, 10):
            continue
        if before.mean == 0 or after.mean < Fraction(12, 10) * before.mean or after.mean < before.mean + 5:
            continue
        if sustained < Fraction(12, 10) * before.mean:
            continue
        if any(switch[:2] == (day, "rotation") for switch in patient.switches):
            continue
        if is_acute_course(patient, day, before.mean):
            continue
        if is_long_term(patient, day):
            found.append(Index(day, before.mean, after.mean, sustained))
    return found


def is_acute_course(patient: Patient, day: date, before: Fraction) -> bool:
    """A parallel course of at most 14 days, not of extended release, after which the dose is back."""
    is_short = any(
        fill.start == day and fill.release != "extended" and gap(fill.end, fill.start) + 1 <= 14
        for fill in patient.fills
    )
    return is_short and patient.last_dose(day, on(day, 14)) <= Fraction(11, 10) * before


def is_long_term(patient: Patient, day: date) -> bool:
    run = patient.run_on(day)
    return run is not None and run.long_term_date is not None and run.long_term_date < day


def first_fills_of_months(patient: Patient) -> list[date]:
    first = {}
    for fill in patient.fills:
        month = (fill.start.year, fill.start.month)
        first[month] = min(fill.start, first.get(month, fill.start))
    return sorted(first.values())


def gabapentinoid_steps(patient: Patient) -> list[date]:
    """Starts of a gabapentinoid after more than 90 days without a fill of it, and rises of its dose by 20 %."""
    found = set()
    for ingredient in {name for name, *_ in patient.gabapentinoids}:
        doses: dict[date, Fraction | None] = {}
        for name, day, daily_mg in patient.gabapentinoids:
            if name == ingredient:
                known = [mg for mg in (doses.get(day), daily_mg) if mg is not None]
                doses[day] = sum(known, Fraction(0)) if known else None
        found |= {min(doses)}
        for last, day in pairwise(sorted(doses)):
            rise = ratio(doses[day], doses[last])
            if gap(day, last) > 90 or (rise is not None and rise >= Fraction(12, 10)):
                found.add(day)
    return sorted(found)


def rises_of_pain(patient: Patient) -> list[date]:
    """Mondays of weeks with more pain than the scored week before, that end in a rise of 2 points from B1 to R2."""
    weeks = window.weeks(patient, date.min, date.max)
    found = []
    for last, day in pairwise(sorted(weeks)):
        if weeks[day] > weeks[last]:
            early = window.mean_of_weeks(weeks, on(day, -365), on(day, -91))
            late = window.mean_of_weeks(weeks, on(day, 91), on(day, 180))
            rise = less(late, early)
            if rise is not None and rise >= 2:
                found.append(day)
    return found


def stable(patient: Patient, day: date, is_late_too: bool = False) -> Index | None:
    """The dose of 90 days before and of days 0 to 90 is known and covered; it is that of B0 and of B1 but for 20 %."""
    before, after = patient.dose(on(day, -90), on(day, -1)), patient.dose(day, on(day, 90))
    is_known = not before.unknown_days and not after.unknown_days
    is_covered = before.share >= Fraction(8, 10) and after.share >= Fraction(8, 10)
    if not is_long_term(patient, day) or not is_known or not is_covered:
        return None
    distal = mean(patient, day, -365, -91)
    ratios = [ratio(after.mean, before.mean), ratio(after.mean, distal)]
    if is_late_too:
        ratios.append(ratio(mean(patient, day, 91, 180), distal))
    return Index(day, before.mean, after.mean, None) if all(map(is_stable_ratio, ratios)) else None


def is_stable_ratio(change: Fraction | None) -> bool:
    """Within 20 %; a rise by 20 % is an escalation."""
    return change is not None and Fraction(8, 10) <= change < Fraction(12, 10)


# Episodes


def chained(patient: Patient, kind: str, indexes: list[Index]) -> list[Episode]:
    """Index days less than 90 days after the last one go on with its episode; each sham date of a maintainer is one.

    A rise seen again while the first is still in the mean before it is no step, unless the dose went up once more.
    """
    chains: list[list[Index]] = []
    last_seen = None
    for index in indexes:
        is_close = last_seen is not None and gap(index.day, last_seen.day) < 90
        is_higher = (
            is_close and index.sustained is not None and index.sustained >= Fraction(12, 10) * last_seen.sustained
        )
        last_seen = index
        if kind != "sham_maintainer" and is_close and not is_higher:
            continue
        if kind != "sham_maintainer" and chains and gap(index.day, chains[-1][-1].day) < 90:
            chains[-1].append(index)
        else:
            chains.append([index])

    found: list[Episode] = []
    for number, chain in enumerate(chains):
        first = chain[0]
        is_linked = number > 0 and kind != "sham_maintainer" and not is_apart(patient, chains[number - 1], first)
        found.append(
            Episode(
                patient=patient,
                kind=kind,
                first=first,
                step_count=sum(gap(step.day, first.day) <= 90 for step in chain),
                # a step is known when its 60 days are over
                known_step_count=sum(gap(step.day, first.day) + 59 <= 90 for step in chain),
                is_linked=is_linked,
                linked_since=found[-1].linked_since if is_linked else first.day,
            )
        )
    return found


def is_apart(patient: Patient, chain: list[Index], first: Index) -> bool:
    """180 days since the last step, and as many since the dose was above 110 % of what it was before its episode."""
    if gap(first.day, chain[-1].day) < 180:
        return False
    for back in range(1, 180 + 1):
        day = on(first.day, -back)
        dose = patient.days.get(day)
        if dose is not None and dose.dose_mme > Fraction(11, 10) * chain[0].before:
            return False
    return True


def is_reversed(episode: Episode) -> bool:
    """The rise was taken back within 28 days, to 110 % of the old dose or with the end of therapy."""
    if episode.kind != "dose_led":
        return False
    then = episode.patient.last_dose(episode.day, on(episode.day, 28))
    has_ended = episode.patient.run_on(episode.day).end < on(episode.day, 28)
    return has_ended or then is None or then <= Fraction(11, 10) * episode.first.before


def excluded_reason(episode: Episode) -> str | None:
    """The first of what keeps an episode out of the cohort, by what was known before it."""
    patient, day = episode.patient, episode.day
    if patient.birth_year is not None and day.year - patient.birth_year < 18:
        return "under_age"
    if patient.birth_year is None:
        return "age_unknown"
    if patient.observed_from is None or gap(day, patient.observed_from) < 365:
        return "short_look_back"
    coded = sorted(name for on_day, name in patient.concepts if name in EXCLUDING and 1 <= gap(day, on_day) <= 365)
    if coded:
        return coded[0]
    if any(stay.name == "hospice" and stay.start < day and gap(day, stay.end) <= 365 for stay in patient.encounters):
        return "palliative_care"
    for stay in patient.stays:
        # as long as it is known to be on day 90
        if gap(min(stay.end, on(day, 90)), stay.start) + 1 > 7 and stay.end >= on(day, -365):
            return "long_inpatient_stay"
    for stay in patient.care:
        # as far as the windows reach
        start, end = max(stay.start, on(day, -365)), min(stay.end, on(day, 90))
        if gap(end, start) + 1 > 7 and patient.last_dose(start, end) is None:
            return "long_term_care_without_supply"
    if any(drug.start <= day and drug.end >= on(day, -30) for drug in patient.treated_for_disorder):
        return "opioid_use_disorder_medication"
    return None


def row(episode: Episode) -> dict:
    """The episode as a row of episode.episode."""
    patient, first = episode.patient, episode.first
    is_dose_led = episode.kind == "dose_led"
    return {
        "patient_index": patient.index,
        "index_kind": episode.kind,
        "index_date": episode.day,
        "dose_before_mme": rounded(first.before),
        "dose_after_mme": rounded(first.after),
        "dose_ratio": rounded(ratio(first.after, first.before)),
        "step_count": episode.step_count,
        "known_step_count": episode.known_step_count,
        "prior_therapy_days": episode.prior_therapy_days,
        "follow_up_days": episode.follow_up_days,
        "is_linked": episode.is_linked,
        "linked_since_date": episode.linked_since,
        "is_reversed": is_dose_led and is_reversed(episode),
        "excluded_reason": excluded_reason(episode),
    }
