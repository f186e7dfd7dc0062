"""What followed an episode the slow and obvious way: cuts of the dose, other opioids, other treatment, gaps in supply.

Pain is read with a hole the size of withdrawal. Doses are means over all days: days without supply are days of none.
"""

from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import sqrt

from tests.oracle import event, window
from tests.oracle.daily_dose import ONE_DAY
from tests.oracle.episode import Episode
from tests.oracle.patient import Patient, gap, less, mean, on, ratio

CONFIRMATION = (91, 455)
EASING = (
    *("acetaminophen", "buprenorphine", "cannabinoid", "corticosteroid", "gabapentinoid", "local_anaesthetic"),
    *("local_corticosteroid", "local_nsaid", "low_dose_naltrexone", "methadone", "muscle_relaxant"),
    *("nmda_antagonist", "nsaid", "snri", "tca", "triptan"),
)


def se_of(one: int, other: int) -> float | None:
    """Standard error of a change between two means over weeks."""
    return window.WITHIN_PERSON_SD * sqrt(1 / one + 1 / other) if one and other else None


def known_dose(patient: Patient, start: date, end: date) -> Fraction | None:
    dose = patient.dose(start, end)
    return None if dose.unknown_days else dose.over_all_days


# Dechallenge


def cuts(patient: Patient) -> list[tuple[date, date, Fraction]]:
    """Day of each cut, day on which it is known, and the dose it leads to."""
    days, found = patient.days, []
    covered = sorted(days)
    for last, day in pairwise(covered):
        if gap(day, last) - 1 > 30:
            continue
        is_fall = days[day].dose_mme < days[last].dose_mme and not days[day].is_lower_bound
        if is_fall and not takes_back_a_short_rise(patient, last, day):
            found.append((day, day, Fraction(days[day].dose_mme)))
    for last, following in zip(covered, [*covered[1:], None], strict=True):
        if following is None or gap(following, last) - 1 > 30:
            found.append((on(last, 1), on(last, 31), Fraction(0)))
    return found


def takes_back_a_short_rise(patient: Patient, last: date, day: date) -> bool:
    """The dose before the fall began no more than 30 days ago, and the one before that was no higher than this."""
    days, first = patient.days, last
    while days.get(first - ONE_DAY) == days[last]:
        first -= ONE_DAY
    before = days.get(first - ONE_DAY)
    is_known = before is not None and not before.is_lower_bound
    return is_known and before.dose_mme <= days[day].dose_mme and gap(day, first) <= 30


def rises(patient: Patient) -> list[date]:
    """First days of a dose 5 % above the known one before, of which none in the next 30 days is below; or from none."""
    days, covered = patient.days, sorted(patient.days)
    levels = {
        day: Fraction(days[day].dose_mme)
        for day in covered
        if not days[day].is_lower_bound and days.get(day - ONE_DAY) != days[day]
    }
    for last, following in zip(covered, [*covered[1:], None], strict=True):
        if following is None or gap(following, last) - 1 > 30:
            levels[on(last, 1)] = Fraction(0)
    found = []
    for before, day in pairwise(sorted(levels)):
        lowest = min(dose for other, dose in levels.items() if day <= other <= on(day, 30))
        if levels[before] <= Fraction(95, 100) * lowest:
            found.append(day)
    return found


def tapers(patient: Patient, cut_days: list[date]) -> list[tuple[date, date, date | None]]:
    """First and last cut of each taper, and the rise that ends it. A cut that is undone within 30 days is none."""
    cuts_before: dict[date | None, list[date]] = {}
    for day in cut_days:
        rise = min((other for other in rises(patient) if other > day), default=None)
        if rise is None or gap(rise, day) > 30:
            cuts_before.setdefault(rise, []).append(day)
    return [(min(found), max(found), rise) for rise, found in cuts_before.items()]


def dechallenge(episode: Episode, response: Fraction | None) -> dict:
    patient, end = episode.patient, episode.followed_to
    found = [
        day
        for day, known, dose in cuts(patient)
        if CONFIRMATION[0] <= gap(day, episode.day) <= CONFIRMATION[1]
        and end is not None
        and known <= end
        and response is not None
        and dose <= Fraction(95, 100) * response
    ]
    middle = on(episode.day, sum(CONFIRMATION) // 2)
    sized = []
    for first, last, rise in tapers(patient, found) or [(middle, middle, None)]:
        measured_to = on(last, 59) if rise is None else min(on(last, 59), rise - ONE_DAY)
        share = share_cut(known_dose(patient, last, measured_to), response)
        sized.append((share is None or share < Fraction(25, 100), share is not None, first, last, share))
    *_, first, last, cut_share = min(sized, key=lambda one: one[:3])
    read_to = None if end is None else min(on(last, 180), end)
    kept = known_dose(patient, on(last, 28), read_to) if read_to is not None and read_to >= on(last, 28) else None
    before_weeks = window.weeks(patient, on(first, -90), on(first, -1))
    after_weeks = window.weeks(patient, on(last, 28), on(last, 180))
    kept_share = share_cut(kept, response)
    is_taper = bool(tapers(patient, found)) and cut_share is not None and cut_share >= Fraction(25, 100)
    is_observable = end is not None and end >= on(last, 28 + 90)
    reason = None
    if cut_share is None:
        reason = "dose_unknown"
    elif not is_taper:
        reason = "no_taper"
    elif not is_observable:
        reason = "follow_up_too_short"
    elif kept_share is None:
        reason = "dose_unknown"
    elif kept_share < Fraction(15, 100):
        reason = "dose_raised_again"
    elif len(before_weeks) < 2:
        reason = "too_few_scores_before_taper"
    elif len(after_weeks) < 2:
        reason = "too_few_scores_after_taper"
    return {
        "first_cut_date": first,
        "last_cut_date": last,
        "cut_share": cut_share,
        "kept_cut_share": kept_share,
        "is_taper": is_taper,
        "is_observable": is_observable,
        "before_nrs": mean(list(before_weeks.values())),
        "after_nrs": mean(list(after_weeks.values())),
        "before_week_count": len(before_weeks),
        "after_week_count": len(after_weeks),
        "change_nrs": less(mean(list(after_weeks.values())), mean(list(before_weeks.values()))),
        "change_se_nrs": se_of(len(before_weeks), len(after_weeks)),
        "not_readable_reason": reason,
    }


def share_cut(after: Fraction | None, before: Fraction | None) -> Fraction | None:
    left = ratio(after, before)
    return None if left is None else 1 - left


def expected_dechallenges(found: dict[str, tuple[Episode, dict, dict]]) -> dict[str, dict]:
    """Change of pain to be expected without a taper: of matched patients, else of all without one, else none.

    Args:
        found: Episode, its change and its dechallenge, by name; none that is excluded.
    """
    scored = {
        name: window.likeness(
            episode,
            taper | {"distal_nrs": change["distal_nrs"]},
            taper["first_cut_date"],
            change["response_mme"],
        )
        for name, (episode, change, taper) in found.items()
    }
    untapered = [
        one
        for one in scored.values()
        if not one["is_taper"]
        and one["cut_share"] is not None
        and one["kept_cut_share"] is not None
        and max(one["cut_share"], one["kept_cut_share"]) < Fraction(25, 100)
        and one["is_observable"]
        and one["before_week_count"] >= 2
        and one["after_week_count"] >= 2
    ]
    of_all = mean([one["change_nrs"] for one in untapered])
    expected = {}
    for name, one in scored.items():
        if one["not_readable_reason"] is not None:
            expected[name] = {"matched_count": 0, "expected_by": None, "expected_change_nrs": None}
            continue
        matched = window.nearest(one, untapered, "before_nrs")
        if matched:
            value, by = mean([other["change_nrs"] for other in matched]), "matched_untapered"
        elif of_all is not None:
            value, by = of_all, "all_untapered"
        else:
            value, by = Fraction(0), "nobody"
        expected[name] = {"matched_count": len(matched), "expected_by": by, "expected_change_nrs": value}
    return expected


def new_treatments(episode: Episode, taper: dict) -> int | None:
    """What else was begun within 60 days of a taper; unknown where nobody delivered that."""
    patient = episode.patient
    if not taper["is_taper"] or not {"adjuvant", "procedure"} <= patient.feeds:
        return None
    start, end = on(taper["first_cut_date"], -60), on(taper["last_cut_date"], 60)
    drugs = sum(any(start <= day <= end for day in event.drug_starts(patient, name, 90)) for name in EASING)
    therapies = event.after_a_pause(patient.concept_days("physical_therapy"), 90)
    operations = {*patient.concept_days("surgery"), *patient.concept_days("injection")}
    return drugs + sum(start <= day <= end for day in therapies) + sum(start <= day <= end for day in operations)


# Other opioids and other treatment


def first_rotation(episode: Episode) -> date | None:
    """The first buprenorphine, antagonist of NMDA or rotation to methadone after the response window."""
    patient = episode.patient
    begun = event.drug_starts(patient, "buprenorphine") + event.drug_starts(patient, "nmda_antagonist")
    begun += [day for day, kind, to in patient.switches if kind == "rotation" and "methadone" in to]
    return first_in_confirmation(episode, begun)


def first_other_treatment(episode: Episode) -> date | None:
    """The first gabapentinoid, antidepressant, low-dose naltrexone or physical therapy after the response window."""
    begun = event.after_a_pause(episode.patient.concept_days("physical_therapy"), 180)
    for exposure_class in ("gabapentinoid", "snri", "tca", "low_dose_naltrexone"):
        begun += event.drug_starts(episode.patient, exposure_class)
    return first_in_confirmation(episode, begun)


def first_in_confirmation(episode: Episode, days: list[date]) -> date | None:
    return min((day for day in days if CONFIRMATION[0] <= gap(day, episode.day) <= CONFIRMATION[1]), default=None)


def response(episode: Episode, start: date) -> dict:
    """Pain and dose around the start of a treatment."""
    patient, end = episode.patient, episode.followed_to
    pain = {
        name: list(window.weeks(patient, on(start, first), on(start, last)).values())
        for name, (first, last) in {
            "before": (-90, -1),
            "soon": (30, 90),
            "late": (91, 180),
            "switched": (60, 180),
        }.items()
    }
    before, after = (known_dose(patient, on(start, first), on(start, last)) for first, last in ((-90, -1), (60, 180)))
    return {
        "followed_days": None if end is None else gap(end, start),
        "cut_share": None if before is None or after is None else share_cut(after, before),
        **{f"{name}_nrs": mean(found) for name, found in pain.items()},
        **{f"{name}_weeks": len(found) for name, found in pain.items()},
    }


# Supply that comes and goes


def supply_cycles(episode: Episode) -> list[Fraction]:
    """Pain of the last 7 days of each supply less that of its first 10, near the index date."""
    ends: dict[date, date] = {}
    for fill in episode.patient.fills:
        if fill.has_days_supply and not fill.is_administration:
            ends[fill.start] = max(fill.end, ends.get(fill.start, fill.end))
    found, known_on = [], on(episode.day, 90)
    days = sorted(ends)
    for start, following in zip(days, [*days[1:], date.max], strict=True):
        end = ends[start]
        if start < on(episode.day, -90) or end > on(episode.day, 90) or gap(end, start) + 1 < 17:
            continue
        early = daily_mean(episode.patient, start, on(start, 9), known_on)
        late = daily_mean(episode.patient, on(end, -6), min(end, following - ONE_DAY), known_on)
        if early is not None and late is not None:
            found.append(late - early)
    return found


def daily_mean(patient: Patient, start: date, end: date, known_on: date) -> Fraction | None:
    return mean([pain.pain_nrs for pain in window.read_days(patient, start, end, known_on).values()])


def interruptions(episode: Episode) -> list[tuple[date, date, date, date]]:
    """Gaps of at least 3 days, and abrupt cuts: first day, last day of the rise, first and last day after it."""
    first, last = on(episode.day, -90), on(episode.day, 90)
    found = []
    for end, resumed in pairwise(sorted(episode.patient.days)):
        begun = on(end, 1)
        if gap(resumed, begun) >= 3 and begun >= first and resumed <= last:
            found.append((begun, on(begun, 6), max(on(begun, 7), resumed), on(resumed, 28)))
    for cut, measured_to in episode.patient.abrupt_cuts:
        if cut >= first and measured_to <= last:
            found.append((cut, on(cut, 13), on(cut, 14), on(cut, 28)))
    return found


def rises_that_passed(episode: Episode) -> list[tuple[Fraction, float]]:
    """Rise of pain in each interruption after which pain was back, and its standard error."""
    patient, found = episode.patient, []
    for begun, rise_to, after_from, after_to in interruptions(episode):
        known_on = on(episode.day, 90)
        last = min(after_to, known_on)
        before = window.read_days(patient, on(begun, -28), on(begun, -1), known_on)
        during = window.read_days(patient, begun, min(rise_to, last), known_on)
        after = window.read_days(patient, after_from, last, known_on)
        levels = [mean([pain.pain_nrs for pain in part.values()]) for part in (before, during, after)]
        if None in levels or levels[2] - levels[0] > Fraction(1, 2):
            continue
        weeks = [len({window.monday(day) for day in part}) for part in (before, during)]
        found.append((levels[1] - levels[0], se_of(*weeks)))
    return found


# Months of an unchanged dose


def stable_months(episode: Episode) -> int:
    """Months of 30 days back from the index date whose mean dose is within 10 % of that of B0."""
    patient = episode.patient
    level = patient.dose(on(episode.day, -90), on(episode.day, -1)).mean
    for month in range(1, 13):
        dose = patient.dose(on(episode.day, -30 * month), on(episode.day, -30 * (month - 1) - 1))
        deviation = less(ratio(dose.mean, level), Fraction(1))
        if dose.unknown_days or deviation is None or abs(deviation) > Fraction(10, 100):
            return month - 1
    return 12


def rise_per_month(episode: Episode) -> tuple[int, Fraction | None]:
    """Scored weeks of the stable months, and how much pain rose in each of them."""
    start = on(episode.day, -30 * stable_months(episode))
    weeks = window.weeks(episode.patient, start, on(episode.day, -1), known_on=on(episode.day, 90))
    points = [(Fraction(gap(week, episode.day)), nrs) for week, nrs in weeks.items()]
    slope = window.slope_of(points) if points else None
    return len(points), None if slope is None else 30 * slope
