"""The rules the slow and obvious way: what each says of one episode, from its facts, in plain ifs.

A rule answers with its vote, its strength and why it abstains. ``facts`` are those of window.change by name, with
what was expected and what keeps the episode from being judged.
"""

from collections.abc import Callable
from fractions import Fraction
from math import sqrt

from tests.oracle import event, slope, treatment
from tests.oracle.episode import Episode
from tests.oracle.patient import gap, less, mean, on
from tests.oracle.window import WITHIN_PERSON_SD, se_of_change

WEAK_SE = 0.84
STRONG_SE = 1.645
THIRTY_PERCENT = Fraction(30, 100)

Said = tuple[str, str | None, str | None]  # vote, strength, reason of abstaining
NONE: Said = ("NONE", None, None)
LITTLE_FALL = Fraction(-3, 10)


def abstain(reason: str) -> Said:
    return "ABSTAIN", None, reason


def weak(vote: str) -> Said:
    return vote, "weak", None


def strong(vote: str) -> Said:
    return vote, "strong", None


def exceeds(change: Fraction, se: float, times: float) -> bool:
    return float(change) >= times * se


def lf01(episode: Episode, facts: dict) -> Said:
    """Paradoxical worsening."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    rise = facts["adjusted_change_nrs"]
    is_dose_up = episode.kind != "dose_led" or facts["response_to_distal_ratio"] >= Fraction(13, 10)
    if rise < 1 or facts["proximal_change_nrs"] < LITTLE_FALL or not is_dose_up:
        return NONE
    if not exceeds(rise, facts["adjusted_change_se_nrs"], WEAK_SE):
        return abstain("within_measurement_error")
    is_large = rise >= 2 or rise >= THIRTY_PERCENT * facts["distal_nrs"]
    return strong("OIH") if is_large and exceeds(rise, facts["adjusted_change_se_nrs"], STRONG_SE) else weak("OIH")


def lf02(episode: Episode, facts: dict) -> Said:
    """Escalation without benefit."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    is_dose_up = episode.kind.startswith("sham_") or facts["response_to_distal_ratio"] >= Fraction(15, 10)
    if is_dose_up and facts["response_nrs"] >= 5 and facts["proximal_change_nrs"] >= LITTLE_FALL:
        return weak("OIH_OR_TOL")
    return NONE


def lf03(episode: Episode, facts: dict) -> Said:
    """Early relief."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    if facts["early_score_count"] < 2:
        return abstain("too_few_scores_early")
    # a point, or 30 % of mild pain, but half a point at least
    enough = min(Fraction(1), max(Fraction(1, 2), THIRTY_PERCENT * facts["proximal_nrs"]))
    relief = -facts["early_change_nrs"]
    if relief < enough:
        return NONE
    if not exceeds(relief, facts["early_change_se_nrs"], WEAK_SE):
        return abstain("within_measurement_error")
    if facts["late_change_nrs"] is not None and facts["late_change_nrs"] >= 1:
        return weak("TOL")
    late_relief = less(facts["proximal_nrs"], facts["late_nrs"])
    if -facts["proximal_change_nrs"] >= enough and late_relief is not None and late_relief >= enough:
        return weak("UND")
    return weak("NOT_OIH")


def lf04(episode: Episode, facts: dict) -> Said:
    """Dose-pain slope; the lower end of its interval is taken as given."""
    weeks, sd, found = slope.fitted(episode)
    if weeks < 6:
        return abstain("too_few_scored_weeks")
    if round(sd, 9) <= 0.1:
        return abstain("dose_too_stable")
    if found >= 0.5:
        if slope.step_count(episode) < 2:
            return abstain("too_few_dose_steps")
        return weak("OIH") if facts["slope_low_nrs"] > 0 else abstain("within_measurement_error")
    return weak("NOT_OIH") if found <= -0.5 else NONE


def lf05(episode: Episode, facts: dict) -> Said:
    """Spread."""
    patient = episode.patient
    if "diagnosis" not in patient.feeds:
        return abstain("no_diagnosis_feed")
    coded = [gap(day, episode.day) for day in patient.diagnosed]
    if sum(-365 <= day <= -31 for day in coded) < 2:
        return abstain("too_few_coded_days_before")
    if sum(-30 <= day <= 180 for day in coded) < 2:
        return abstain("too_few_coded_days_in_window")
    regions = {(gap(day, episode.day), region) for day, region in event.pain_regions(patient)}
    old = {region for day, region in regions if -365 <= day <= -31}
    new = {region for day, region in regions if -30 <= day <= 180} - old
    if len(new - {*event.GENERAL}) >= 2 or new & {*event.GENERAL}:
        return weak("OIH")
    return NONE if episode.is_followed_to(180) else abstain("follow_up_too_short")


def lf06(episode: Episode, facts: dict) -> Said:
    """Dechallenge improved."""
    taper = facts["dechallenge"]
    if taper["not_readable_reason"]:
        return abstain(taper["not_readable_reason"])
    fall = taper["expected_change_nrs"] - taper["change_nrs"]
    if fall < 1:
        return NONE
    if not exceeds(fall, taper["change_se_nrs"], WEAK_SE):
        return abstain("within_measurement_error")
    is_large = fall >= 2 or fall >= THIRTY_PERCENT * taper["before_nrs"]
    is_alone = treatment.new_treatments(episode, taper) == 0
    return strong("OIH") if is_large and is_alone and exceeds(fall, taper["change_se_nrs"], STRONG_SE) else weak("OIH")


def lf07(episode: Episode, facts: dict) -> Said:
    """Dechallenge failed."""
    taper = facts["dechallenge"]
    if taper["not_readable_reason"]:
        return abstain(taper["not_readable_reason"])
    rise = taper["change_nrs"] - taper["expected_change_nrs"]
    if rise < 1:
        return NONE
    return weak("NOT_OIH") if exceeds(rise, taper["change_se_nrs"], WEAK_SE) else abstain("within_measurement_error")


def lf08(episode: Episode, facts: dict) -> Said:
    """Response to rotation, buprenorphine or an antagonist of NMDA."""
    start = treatment.first_rotation(episode)
    if start is None:
        if not episode.is_followed_to(91):
            return abstain("follow_up_too_short")
        return abstain("no_rotation" if "adjuvant" in episode.patient.feeds else "no_adjuvant_feed")
    found = treatment.response(episode, start)
    if found["followed_days"] is None or found["followed_days"] < 90:
        return abstain("follow_up_too_short")
    if found["before_weeks"] < 2:
        return abstain("too_few_scores_before_rotation")
    if found["soon_weeks"] < 2:
        return abstain("too_few_scores_after_rotation")
    enough = max(Fraction(1), THIRTY_PERCENT * found["before_nrs"])
    fall = found["before_nrs"] - found["soon_nrs"]
    if fall < enough:
        return NONE
    if not exceeds(fall, treatment.se_of(found["before_weeks"], found["soon_weeks"]), WEAK_SE):
        return abstain("within_measurement_error")
    if found["late_weeks"] >= 2:
        kept = found["before_nrs"] - found["late_nrs"]
        if kept >= enough and exceeds(kept, treatment.se_of(found["before_weeks"], found["late_weeks"]), WEAK_SE):
            return strong("OIH")
    return weak("OIH")


def lf09(episode: Episode, facts: dict) -> Said:
    """Withdrawal between doses or in gaps."""
    rises = treatment.supply_cycles(episode)
    if len(rises) >= 2:
        se = WITHIN_PERSON_SD * sqrt(2 / len(rises))
        if mean(rises) >= Fraction(3, 2) and exceeds(mean(rises), se, WEAK_SE):
            return weak("WD")
    for rise, se in treatment.rises_that_passed(episode):
        if rise >= Fraction(3, 2) and exceeds(rise, se, WEAK_SE):
            return weak("WD")
    _, margin, unread = event.nearest(episode, "opioid_withdrawal")
    if margin is not None and margin >= 0:
        return weak("WD")
    for started in event.drug_starts(episode.patient, "alpha2_agonist"):
        near = [abs(gap(started, begun)) for begun, *_ in treatment.interruptions(episode)]
        if on(episode.day, -90) <= started <= on(episode.day, 90) and near and min(near) <= 14:
            return weak("WD")
    if len(rises) < 2:
        return abstain("no_late_scores")
    if unread:
        return abstain(unread)
    return NONE if "adjuvant" in episode.patient.feeds else abstain("no_adjuvant_feed")


def any_event(episode: Episode, kinds: tuple[str, ...], vote: str) -> Said:
    """A vote where one of the kinds is in its window; none only where all of them can be denied."""
    unread = []
    for kind in kinds:
        _, margin, reason = event.nearest(episode, kind)
        if margin is not None and margin >= 0:
            return weak(vote)
        unread += [reason] if reason else []
    return abstain(min(unread)) if unread else NONE


def lf10(episode: Episode, facts: dict) -> Said:
    """Acute cause."""
    kinds = ("injury", "infection", "flare", "cancer", "emergency_pain_visit", "surgery", "injection")
    return any_event(episode, kinds, "PROG")


def lf11(episode: Episode, facts: dict) -> Said:
    """Tolerance pattern: creeping pain at a stable dose, relief, waning."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    if treatment.stable_months(episode) < 3:
        return NONE
    weeks, rise = treatment.rise_per_month(episode)
    if weeks < 6:
        return abstain("too_few_scores_before")
    if rise is None or rise < Fraction(15, 100):
        return NONE
    if facts["early_score_count"] < 2:
        return abstain("too_few_scores_early")
    if facts["early_change_nrs"] > Fraction(-8, 10):
        return NONE
    if facts["late_week_count"] < 2:
        return abstain("too_few_scores_late")
    if facts["late_change_nrs"] < Fraction(8, 10):
        return NONE
    late_se = se_of_change(facts["late_se_nrs"], facts["early_se_nrs"])
    is_relief = exceeds(-facts["early_change_nrs"], facts["early_change_se_nrs"], WEAK_SE)
    is_waning = exceeds(facts["late_change_nrs"], late_se, WEAK_SE)
    return weak("TOL") if is_relief and is_waning else abstain("within_measurement_error")


def lf12(episode: Episode, facts: dict) -> Said:
    """Undertreatment."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    if facts["response_mme"] >= 50 or facts["proximal_change_nrs"] > -1:
        return NONE
    if facts["late_week_count"] < 2:
        return abstain("too_few_scores_late")
    if facts["late_nrs"] - facts["proximal_nrs"] > -1:
        return NONE
    se = se_of_change(facts["response_se_nrs"], facts["proximal_se_nrs"])
    is_beyond = exceeds(-facts["proximal_change_nrs"], se, WEAK_SE)
    return weak("UND") if is_beyond else abstain("within_measurement_error")


def lf13(episode: Episode, facts: dict) -> Said:
    """Exposure intensity."""
    if facts["not_classifiable_reason"]:
        return abstain(facts["not_classifiable_reason"])
    is_intense = facts["response_mme"] >= 100 and episode.prior_therapy_days >= 180
    return weak("OIH") if is_intense and facts["adjusted_change_nrs"] >= Fraction(1, 2) else NONE


def lf14(episode: Episode, facts: dict) -> Said:
    """Clinician recognition."""
    patient = episode.patient
    noted = {concept for day, concept in patient.mentions if 91 <= gap(day, episode.day) <= 455}
    if "opioid_induced_hyperalgesia" in noted:
        return strong("OIH")
    coded = [
        number for day in patient.concept_days("skin_hypersensitivity") if (number := gap(day, episode.day)) >= -365
    ]
    if "allodynia" in noted or (coded and 91 <= min(coded) <= 455):
        return weak("OIH")
    if "note_mention" not in patient.feeds:
        return abstain("no_note_feed")
    return NONE if episode.is_followed_to(270) else abstain("follow_up_too_short")


def lf15(episode: Episode, facts: dict) -> Said:
    """What reaches the body changed."""
    kinds = ("cyp3a4_inducer", "cyp2d6_inhibitor", "bariatric_surgery", "rotation", "release_switch")
    return any_event(episode, kinds, "OTHER")


def lf16(episode: Episode, facts: dict) -> Said:
    """Response to other treatment."""
    start = treatment.first_other_treatment(episode)
    if start is None:
        if not episode.is_followed_to(91):
            return abstain("follow_up_too_short")
        for feed in ("adjuvant", "procedure"):
            if feed not in episode.patient.feeds:
                return abstain(f"no_{feed}_feed")
        return abstain("no_other_treatment")
    found = treatment.response(episode, start)
    if found["followed_days"] is None or found["followed_days"] < 180:
        return abstain("follow_up_too_short")
    if found["before_weeks"] < 2:
        return abstain("too_few_scores_before_treatment")
    if found["switched_weeks"] < 2:
        return abstain("too_few_scores_after_treatment")
    fall = found["before_nrs"] - found["switched_nrs"]
    if fall < max(Fraction(1), THIRTY_PERCENT * found["before_nrs"]):
        return NONE
    if not exceeds(fall, treatment.se_of(found["before_weeks"], found["switched_weeks"]), WEAK_SE):
        return abstain("within_measurement_error")
    if found["cut_share"] is None:
        return abstain("dose_unknown")
    return weak("OIH" if found["cut_share"] >= Fraction(15, 100) else "OTHER")


def lf17(episode: Episode, facts: dict) -> Said:
    """Narcotic bowel syndrome."""
    return any_event(episode, ("narcotic_bowel",), "OTHER")


def lf18(episode: Episode, facts: dict) -> Said:
    """Medication-overuse headache."""
    return any_event(episode, ("medication_overuse_headache",), "OTHER")


def lf19(episode: Episode, facts: dict) -> Said:
    """New benzodiazepine."""
    return any_event(episode, ("benzodiazepine",), "OTHER")


def lf20(episode: Episode, facts: dict) -> Said:
    """New depression or post-traumatic stress."""
    return any_event(episode, ("depression", "ptsd"), "OTHER")


RULES: dict[str, Callable[[Episode, dict], Said]] = {
    rule.__name__.upper(): rule
    for rule in (
        *(lf01, lf02, lf03, lf04, lf05, lf06, lf07, lf08, lf09, lf10),
        *(lf11, lf12, lf13, lf14, lf15, lf16, lf17, lf18, lf19, lf20),
    )
}
