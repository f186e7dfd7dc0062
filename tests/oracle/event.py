"""What happened near an index date the slow and obvious way: new codes, new drugs, operations, changes of opioid."""

import csv
from collections.abc import Iterable
from datetime import date
from itertools import pairwise

from pipelines import paths
from tests.oracle.episode import Episode
from tests.oracle.patient import Patient, Span, gap

with (paths.SQL / "1_reference" / "drug_interaction.csv").open(encoding="utf-8") as file:
    PRODRUGS = {row["ingredient"] for row in csv.DictReader(file) if row["effect"] == "cyp2d6_prodrug"}

# First and last day on which each kind counts, and what must have been delivered to deny it.
KINDS = {
    "injury": (-30, 30, ["diagnosis"]),
    "infection": (-30, 30, ["diagnosis"]),
    "flare": (-30, 30, ["diagnosis"]),
    "cancer": (-30, 30, ["diagnosis"]),
    "emergency_pain_visit": (-30, 30, ["encounter", "diagnosis"]),
    "surgery": (-30, 90, ["procedure"]),
    "injection": (-30, 90, ["procedure"]),
    "cyp3a4_inducer": (-30, 60, ["adjuvant"]),
    "cyp2d6_inhibitor": (-30, 60, ["adjuvant"]),
    "bariatric_surgery": (-30, 60, ["procedure"]),
    "rotation": (-30, 60, []),
    "release_switch": (-30, 60, []),
    "opioid_withdrawal": (-90, 90, ["diagnosis"]),
    "narcotic_bowel": (-90, 90, ["diagnosis"]),
    "medication_overuse_headache": (-90, 90, ["diagnosis"]),
    "benzodiazepine": (-30, 60, ["adjuvant"]),
    "depression": (-90, 90, ["diagnosis"]),
    "ptsd": (-90, 90, ["diagnosis"]),
}


def event_days(patient: Patient, kind: str) -> list[date]:
    """Days of new events of a kind."""
    match kind:
        case "injury" | "infection":
            return after_a_pause(patient.concept_days(kind), 90)
        case "flare":
            return after_a_pause(patient.concept_days("inflammatory_flare"), 90)
        case "cancer":
            return after_a_pause(patient.concept_days("active_cancer"), 90)
        case "surgery" | "injection" | "bariatric_surgery" | "opioid_withdrawal":
            return patient.concept_days(kind)
        case "depression" | "ptsd" | "medication_overuse_headache":
            return after_a_pause(patient.concept_days(kind), 365)
        case "narcotic_bowel":
            effect = patient.concept_days("opioid_adverse_effect")
            return after_a_pause([day for day in patient.concept_days("narcotic_bowel_proxy") if day in effect], 365)
        case "emergency_pain_visit":
            places = {day for day, region in pain_regions(patient) if region not in GENERAL}
            return sorted(patient.emergencies & places)
        case "cyp2d6_inhibitor":
            needing = [fill for fill in patient.fills if fill.ingredient in PRODRUGS]
            begun = drug_starts(patient, kind)
            return [day for day in begun if any(fill.start <= day <= fill.end for fill in needing)]
        case "cyp3a4_inducer" | "benzodiazepine":
            return drug_starts(patient, kind)
    return [day for day, event, _ in patient.switches if event == kind]


def after_a_pause(days: list[date], pause: int) -> list[date]:
    """The first day, and each that comes more than some days after the one before it."""
    return days[:1] + [day for last, day in pairwise(days) if gap(day, last) > pause]


def drug_starts(patient: Patient, exposure_class: str, pause: int = 180) -> list[date]:
    """Days on which a class of drugs is begun after more than some days without it."""
    return starts([span for span in patient.exposures if span.name == exposure_class], pause)


def starts(spans: Iterable[Span], pause: int) -> list[date]:
    found, last_end = set(), None
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if last_end is None or gap(span.start, last_end) > pause:
            found.add(span.start)
        last_end = span.end if last_end is None else max(last_end, span.end)
    return sorted(found)


GENERAL = ("widespread", "overlapping_pain_condition")


def pain_regions(patient: Patient) -> list[tuple[date, str]]:
    """Where pain was coded, on days without a coded injury."""
    injured = patient.concept_days("injury")
    return [
        (day, concept.removeprefix("region_"))
        for day, concept in patient.concepts
        if (concept.startswith("region_") or concept == "overlapping_pain_condition") and day not in injured
    ]


def nearest(episode: Episode, kind: str) -> tuple[int | None, int | None, str | None]:
    """Day of the event that is deepest inside the days that count, by how many, and why none can be denied."""
    first, last, feeds = KINDS[kind]
    # whether an opioid was given up is known 30 days later
    known_after = 30 if kind in ("rotation", "release_switch") else 0
    days = [gap(day, episode.day) for day in event_days(episode.patient, kind)]
    inside = [number for number in days if -90 <= number <= 90 - known_after]
    margin, number = max(((min(number - first, last - number), number) for number in inside), default=(None, None))
    unread = next((f"no_{feed}_feed" for feed in feeds if feed not in episode.patient.feeds), None)
    if unread is None and not episode.is_followed_to(last):
        unread = "follow_up_too_short"
    return number, margin, unread
