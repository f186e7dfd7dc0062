"""Pain and dose of the windows of an episode the slow and obvious way: a median a day, a median a week, a mean.

Operations mask the scores around them. What ends on day 90 is read as it was known on day 90.
"""

from datetime import date
from fractions import Fraction
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from tests.oracle.patient import Patient, Span, gap, less, mean, median, on, ratio, rounded

if TYPE_CHECKING:
    from tests.oracle.episode import Episode

WINDOWS = {"B1": (-365, -91), "B0": (-90, -1), "E": (14, 35), "R": (36, 90), "R2": (91, 180)}
LAST_RESPONSE_DAY = 90
WITHIN_PERSON_SD = 1.8


class PainDay(NamedTuple):
    """Pain of one day in one setting."""

    pain_nrs: Fraction | None
    score_count: int
    unknown_count: int
    masked_by_date: date | None  # the earliest operation that masks the day


class Pain(NamedTuple):
    """Pain of one window."""

    mean: Fraction | None
    sd: float | None
    se: float | None
    week_count: int
    score_count: int


@cache
def pain_days(patient: Patient) -> dict[tuple[date, str], PainDay]:
    """Median of each day's scores, by setting."""
    readings: dict[tuple[date, str], list[Fraction | None]] = {}
    for reading in patient.readings:
        readings.setdefault((reading.day, reading.setting), []).append(reading.nrs)
    operations = patient.concept_days("surgery")
    # a score of unknown setting speaks of the stay or the emergency that it falls in
    elsewhere = [*patient.stays, *(Span("", day, day) for day in patient.emergencies)]
    found = {}
    for (day, setting), scores in readings.items():
        known = [nrs for nrs in scores if nrs is not None]
        masking = [operation for operation in operations if -7 <= gap(day, operation) <= 90]
        if setting == "unknown":
            masking += [stay.start for stay in elsewhere if stay.start <= day <= stay.end]
        found[day, setting] = PainDay(
            pain_nrs=median(known) if known else None,
            score_count=len(known),
            unknown_count=len(scores) - len(known),
            masked_by_date=min(masking, default=None),
        )
    return found


def read_days(patient: Patient, start: date, end: date, known_on: date | None = None) -> dict[date, PainDay]:
    """Days of known outpatient pain that no operation masks; what an operation after known_on masks is still read."""
    found = {}
    for (day, setting), pain in pain_days(patient).items():
        if setting != "outpatient" or pain.pain_nrs is None or not start <= day <= end:
            continue
        if pain.masked_by_date is None or (known_on is not None and pain.masked_by_date > known_on):
            found[day] = pain
    return found


def monday(day: date) -> date:
    return on(day, -day.weekday())


def weeks(patient: Patient, start: date, end: date, known_on: date | None = None) -> dict[date, Fraction]:
    """Median of the days of each calendar week of a window, by its Monday."""
    days: dict[date, list[Fraction]] = {}
    for day, pain in read_days(patient, start, end, known_on).items():
        days.setdefault(monday(day), []).append(pain.pain_nrs)
    return {week: median(scores) for week, scores in days.items()}


def mean_of_weeks(by_week: dict[date, Fraction], start: date, end: date) -> Fraction | None:
    """Mean of the weeks whose Monday is in a window."""
    return mean([nrs for week, nrs in by_week.items() if start <= week <= end])


def window_pain(episode: "Episode", name: str) -> Pain:
    first, last = WINDOWS[name]
    start, end = on(episode.day, first), on(episode.day, last)
    known_on = on(episode.day, LAST_RESPONSE_DAY) if last <= LAST_RESPONSE_DAY else None
    by_week = list(weeks(episode.patient, start, end, known_on).values())
    level, count = mean(by_week), len(by_week)
    variance = sum((nrs - level) ** 2 for nrs in by_week) / (count - 1) if count > 1 else None
    return Pain(
        mean=level,
        sd=None if variance is None else sqrt(variance),
        se=WITHIN_PERSON_SD / sqrt(count) if count else None,
        week_count=count,
        score_count=sum(pain.score_count for pain in read_days(episode.patient, start, end, known_on).values()),
    )


def se_of_change(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else sqrt(one**2 + other**2)


def change(episode: "Episode") -> dict:
    """Doses, pain and changes of an episode, and why it cannot be judged, by the names of episode.episode_change."""
    pain = {name: window_pain(episode, name) for name in WINDOWS}
    dose = {name: episode.patient.dose(*(on(episode.day, day) for day in days)) for name, days in WINDOWS.items()}
    fewest = min(pain["B1"].week_count, pain["B0"].week_count, pain["R"].week_count)
    se = se_of_change(pain["R"].se, pain["B1"].se)
    found = {
        "distal_nrs": pain["B1"].mean,
        "proximal_nrs": pain["B0"].mean,
        "early_nrs": pain["E"].mean,
        "response_nrs": pain["R"].mean,
        "late_nrs": pain["R2"].mean,
        "late_se_nrs": pain["R2"].se,
        "early_se_nrs": pain["E"].se,
        "response_se_nrs": pain["R"].se,
        "proximal_se_nrs": pain["B0"].se,
        "distal_sd_nrs": pain["B1"].sd,
        "response_sd_nrs": pain["R"].sd,
        "early_score_count": pain["E"].score_count,
        "distal_week_count": pain["B1"].week_count,
        "late_week_count": pain["R2"].week_count,
        "distal_mme": dose["B1"].mean,
        "proximal_mme": dose["B0"].mean,
        "response_mme": dose["R"].mean,
        "response_to_distal_ratio": ratio(dose["R"].mean, dose["B1"].mean),
        "distal_change_nrs": less(pain["R"].mean, pain["B1"].mean),
        "proximal_change_nrs": less(pain["R"].mean, pain["B0"].mean),
        "early_change_nrs": less(pain["E"].mean, pain["B0"].mean),
        "late_change_nrs": less(pain["R2"].mean, pain["E"].mean),
        "baseline_change_nrs": less(pain["B0"].mean, pain["B1"].mean),
        "change_se_nrs": se,
        "early_change_se_nrs": se_of_change(pain["E"].se, pain["B0"].se),
        "detectable_change_nrs": None if se is None else 1.645 * se,
        "data_grade": "A" if fewest >= 5 else "B" if fewest >= 3 else "C" if fewest >= 2 else None,
    }
    found["not_classifiable_reason"] = not_classifiable_reason(episode, pain, dose)
    return found


def not_classifiable_reason(episode: "Episode", pain: dict[str, Pain], dose: dict) -> str | None:
    if not episode.is_followed_to(LAST_RESPONSE_DAY):
        return "follow_up_too_short"
    supplied = [number for number in range(LAST_RESPONSE_DAY + 1) if on(episode.day, number) in episode.patient.days]
    if supplied and LAST_RESPONSE_DAY - supplied[-1] > 30:
        return "therapy_ended"
    for name, words in {"B1": "distal", "B0": "proximal", "R": "response"}.items():
        if pain[name].week_count < 2:
            return f"too_few_scores_{words}"
    # more than a tenth of the 275 days of B1, or of the 55 of R
    if dose["B1"].unknown_days > 27.5 or dose["R"].unknown_days > 5.5:
        return "dose_unknown"
    if not dose["B1"].mean or not dose["R"].mean:
        return "no_dose_in_window"
    return None


# What pain was to be expected to do


def dose_band(mme: Fraction | None) -> int:
    """Bands of CDC 2022; a dose that nobody knows stands with the highest."""
    return 3 if mme is None else sum(mme >= limit for limit in (20, 50, 90))


def slope_of(points: list[tuple[Fraction, Fraction]]) -> Fraction | None:
    """Least squares through (x, y)."""
    x_mean, y_mean = mean([x for x, _ in points]), mean([y for _, y in points])
    across = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / across if across else None


def se_of_slope(points: list[tuple[Fraction, Fraction]]) -> float | None:
    """Its standard error: what the line leaves over, over the spread of x."""
    slope = slope_of(points)
    if slope is None or len(points) < 3:
        return None
    x_mean, y_mean = mean([x for x, _ in points]), mean([y for _, y in points])
    left = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in points)
    return sqrt(left / (len(points) - 2) / sum((x - x_mean) ** 2 for x, _ in points))


def pooled_sd(sets: list[list[Fraction]]) -> float | None:
    """Spread within sets, all of them together; None where none has two."""
    squares = sum((value - mean(values)) ** 2 for values in sets for value in values)
    freedom = sum(len(values) - 1 for values in sets if values)
    return sqrt(squares / freedom) if freedom else None


def nearest(one: dict, others: list[dict], pain: str) -> list[dict]:
    """Up to four patients like this one: source, month, dose band, and both levels of pain within a point.

    Each patient is there once, by what is most alike; a year of therapy weighs as much as a point of pain, and where
    regions of coded pain are told, so does a region.
    """
    best: dict[int, tuple] = {}
    for other in others:
        if other["patient"] is one["patient"] or other["source"] != one["source"] or other["month"] != one["month"]:
            continue
        if other["band"] != one["band"] or one["distal_nrs"] is None or other["distal_nrs"] is None:
            continue
        apart = abs(one["distal_nrs"] - other["distal_nrs"]), abs(one[pain] - other[pain])
        if max(apart) > 1:
            continue
        years = Fraction(abs(one["prior_therapy_days"] - other["prior_therapy_days"]), 365)
        regions = [found.get("region_count") for found in (one, other)]
        more = 0 if None in regions else abs(regions[0] - regions[1])
        key = (rounded(sum(apart) + years + more), other["name"])
        index = other["patient"].index
        if index not in best or key < best[index][0]:
            best[index] = (key, other)
    return [other for _, other in sorted(best.values(), key=lambda found: found[0])[:4]]


def likeness(episode: "Episode", found: dict, day: date, mme: Fraction | None) -> dict:
    return found | {
        "name": episode.name,
        "patient": episode.patient,
        "source": episode.patient.source,
        "month": (day.year, day.month),
        "band": dose_band(mme),
        "prior_therapy_days": episode.prior_therapy_days,
    }


def coded_regions(episode: "Episode") -> int | None:
    """Regions of the body with coded pain in the look-back; the whole body is none."""
    if "diagnosis" not in episode.patient.feeds:
        return None
    look_back = (on(episode.day, -365), on(episode.day, -1))
    return len(
        {
            concept
            for day, concept in episode.patient.concepts
            if concept.startswith("region_") and concept != "region_widespread" and look_back[0] <= day <= look_back[1]
        }
    )


def expected_changes(found: dict[str, tuple["Episode", dict, str | None]]) -> dict[str, dict]:
    """Expected change of each episode with pain in B1, B0 and R.

    Args:
        found: Episode, its change and why it is excluded, by name.
    """
    scored = {
        name: likeness(episode, change, episode.day, change["proximal_mme"]) | {"region_count": coded_regions(episode)}
        for name, (episode, change, _) in found.items()
        if change["distal_change_nrs"] is not None and change["baseline_change_nrs"] is not None
    }
    maintainers = [
        scored[name]
        for name, (episode, change, excluded) in found.items()
        if name in scored
        and episode.kind == "sham_maintainer"
        and excluded is None
        and change["not_classifiable_reason"] is None
    ]
    slope = slope_se = None
    if len(maintainers) >= 200:
        points = [(other["baseline_change_nrs"], other["distal_change_nrs"]) for other in maintainers]
        slope, slope_se = slope_of(points), se_of_slope(points)
    slope = Fraction(47, 100) if slope is None else slope
    sets = {name: nearest(one, maintainers, "proximal_nrs") for name, one in scored.items()}
    spread = pooled_sd([[other["distal_change_nrs"] for other in matched] for matched in sets.values()])
    expected = {}
    for name, one in scored.items():
        matched = sets[name]
        if matched:
            se = None if spread is None else spread / sqrt(len(matched))
        else:
            se = None if slope_se is None else slope_se * float(abs(one["baseline_change_nrs"]))
        of_matched = mean([other["distal_change_nrs"] for other in matched])
        expected[name] = {
            "matched_count": len(matched),
            "expected_by": "matched_maintainers" if matched else "regression",
            "expected_change_nrs": slope * one["baseline_change_nrs"] if of_matched is None else of_matched,
            "expected_change_se_nrs": se,
        }
    return expected
