"""Random histories that lie on the limits of the definitions: doses, scores, codes and gaps exactly there, or just off.

Most patients rise on day 0 of their own; all that follows is placed on first and last days of windows and beside them.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np

from tests.sql.history import DATED_BY, Rows

FEEDS = ("diagnosis", "procedure", "encounter", "adjuvant", "note_mention")
NOT_DELIVERED: dict[str, tuple[str, ...]] = {
    "north": (),
    "south": ("adjuvant", "note_mention"),
    "east": ("diagnosis",),
    "west": ("procedure", "encounter"),
}

SUPPLIED_TO = {"south": date(2020, 6, 30)}

MORPHINE = "12 HR morphine sulfate 15 MG Extended Release Oral Tablet"
OXYCODONE = "oxycodone hydrochloride 10 MG Oral Tablet"
HYDROCODONE = "hydrocodone bitartrate 15 MG Oral Tablet"
METHADONE = "methadone hydrochloride 10 MG Oral Tablet"
BUPRENORPHINE = "168 HR buprenorphine 0.02 MG/HR Transdermal System"
FOR_DISORDER = "buprenorphine 8 MG / naloxone 2 MG Sublingual Film"
MME_PER_TABLET = {MORPHINE: 15.0, OXYCODONE: 15.0, HYDROCODONE: 15.0, METHADONE: 47.0}

ALL_DAYS = (-366, -365, -364, -200, -122, -121, -120, -91, -90, -89, -40, -31, -30, -29, -14, -7, -1)
ALL_DAYS += (
    0,
    1,
    13,
    14,
    29,
    30,
    31,
    35,
    36,
    59,
    60,
    61,
    83,
    89,
    90,
    91,
    92,
    97,
    98,
    100,
    179,
    180,
    181,
    300,
    455,
    456,
)
DRUGS = (
    "gabapentin 300 MG Oral Capsule",
    "duloxetine 30 MG Oral Capsule",
    "memantine 10 MG Oral Tablet",
    "rifampin 300 MG Oral Capsule",
    "fluoxetine 20 MG Oral Capsule",
    "lorazepam 1 MG Oral Tablet",
    "tizanidine 4 MG Oral Tablet",
)
CODES = ("M545", "R51", "M542", "M797", "S8290", "A419", "M109", "F329", "F4310", "F1123", "G444", "R203")
RARE_CODES = ("C509", "Z515", "D5701", "D573", "Z3490")
PROCEDURES = ("27447", "20550", "97110", "43644")


def histories(seed: int, patients: int) -> Rows:
    """Clean rows of patients, as tests.sql.history gives them, with what each source delivered."""
    rng = np.random.default_rng(seed)
    rows: Rows = {table: [] for table in ("clean.patient", *DATED_BY)}
    for patient in range(patients):
        source = str(rng.choice(list(NOT_DELIVERED), p=[0.7, 0.1, 0.1, 0.1]))
        _live(rng, patient, source, date(2020, 1, 1) + timedelta(days=int(rng.integers(0, 25))), rows)
    for table in DATED_BY:
        key = f"{table.removeprefix('clean.')}_id"
        for number, row in enumerate(rows[table]):
            row |= {key: f"made up:{number}"}
    rows["clean.source_coverage"] = [
        {
            "source": source,
            "table_name": feed,
            "is_delivered": feed not in missing,
            "row_count": 0,
            "last_date": SUPPLIED_TO.get(source),
        }
        for source, missing in NOT_DELIVERED.items()
        for feed in (*FEEDS, "prescription", "pain_score")
    ]
    return rows


def _live(rng: np.random.Generator, patient: int, source: str, index: date, rows: Rows) -> None:
    def add(table: str, **row: Any) -> None:
        dated = {name: index + timedelta(days=int(row[name])) for name in row if name.endswith(("_date", "_at"))}
        rows[f"clean.{table}"].append({"patient_index": patient, "source": source} | row | dated)

    def one_of(*values: Any, share: float = 1.0) -> Any:
        """One of some values; the first with what is left of the share of the others."""
        others = values[1:] if share < 1 else values
        return values[0] if rng.random() > share else others[rng.integers(len(others))]

    add(
        "patient",
        patient_id=f"{source}:{patient}",
        patient_index=patient,
        sex="female",
        birth_year=one_of(1960, 2001, 2002, 2003, None, share=0.08),
        observation_start_date=one_of(-600, -366, -365, -364, -1, share=0.1),
        observation_end_date=one_of(900, 89, 90, 91, 118, 179, 180, 269, 270, 360, 500, share=0.25),
    )
    if rng.random() < 0.04:
        rows["clean.patient"][-1]["death_date"] = index + timedelta(days=int(one_of(89, 90, 180, 400)))
    treated = int(one_of(90, 91, 92, 120, 150, 180, 200, 300, 455, 456))
    _take(add, one_of, treated)
    _hurt(rng, add, one_of, treated)
    if rng.random() < 0.8:
        _treat(add, one_of, treated)
    for _ in range(rng.integers(0, 5)):
        drug = one_of(*DRUGS)
        for start in range(*one_of((0, 1), (0, 30), (0, 200, 60))):
            add(
                "adjuvant",
                record_kind="dispensing",
                drug_text=drug,
                start_date=start + (first := int(one_of(*ALL_DAYS))) if start == 0 else start + first,
                quantity=float(one_of(90.0, 108.0, 107.0)),
                days_supply=int(one_of(30, 29, 90)),
            )
            if start and rng.random() < 0.8:
                break
    for _ in range(rng.integers(2, 12)):
        code, day = one_of(*CODES), int(one_of(*ALL_DAYS))
        for again in range(one_of(1, 2, 3)):
            add("diagnosis", diagnosis_date=day + again * one_of(0, 90, 91), code_system="ICD10CM", code=code)
    if rng.random() < 0.1:
        add("diagnosis", diagnosis_date=one_of(*ALL_DAYS), code_system="ICD10CM", code=one_of(*RARE_CODES))
    if rng.random() < 0.15:
        day = one_of(*ALL_DAYS)
        for code in ("K5903", "T402X5A"):
            add("diagnosis", diagnosis_date=day + one_of(0, 1, share=0.2), code_system="ICD10CM", code=code)
    for _ in range(one_of(0, 1, 2, share=0.4)):
        add("procedure", procedure_date=one_of(*ALL_DAYS), code_system="CPT4", code=one_of(*PROCEDURES))
    for _ in range(rng.integers(0, 3)):
        start = one_of(*ALL_DAYS)
        setting = one_of("outpatient", "emergency", "inpatient", "hospice", share=0.3)
        add("encounter", start_date=start, end_date=start + one_of(0, 6, 7, 8), setting=setting)
        if setting == "emergency":
            add("diagnosis", diagnosis_date=start, code_system="ICD10CM", code=one_of("M545", "I10", "M797"))
    if rng.random() < 0.3:
        add(
            "note_mention",
            mention_date=one_of(*ALL_DAYS),
            concept=one_of("opioid_induced_hyperalgesia", "allodynia"),
            is_negated=one_of(False, True, share=0.2),
        )


def _take(add: Any, one_of: Any, treated: int) -> None:
    """Supply of 28 or 30 days whose dose moves on chosen days, with gaps of chosen lengths."""
    dose = one_of(20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 100.0)
    drug = one_of(MORPHINE, OXYCODONE, HYDROCODONE, share=0.5)
    moves = {
        0: one_of(1.0, 1.1, 1.19, 1.2, 1.25, 1.3, 1.5, 2.0),
        one_of(14, 27, 28, 29, 56, 59, 60): one_of(1.0, 1.2, 1.5, 1 / 1.2, 0.7, 0.5, share=0.5),
        one_of(89, 90, 91, 112): one_of(1.0, 1.2, 1.5, 0.75, 0.95, share=0.6),
        one_of(treated, 179, 180, 181, 200): one_of(1.0, 1.2, 0.5, 0.75, 0.76, 0.85, 0.86, share=0.7),
        one_of(269, 270, 300, 454, 455, 456): one_of(1.0, 1.2, 0.5, 0.75, 0.74, share=0.7),
    }
    days, day = one_of(28, 30), int(one_of(-448, -480, -180, -120, -93, share=0.2))
    stops = one_of(900, 60, 91, 200, 300, share=0.15)
    while day < min(stops, 700):
        end = min([day + days, *(move for move in moves if move > day)])
        for move in list(moves):
            if move <= day:
                dose = round(dose * moves.pop(move), 3)
        _fill(add, one_of, drug, day, end - day, dose)
        if day in (-28, 0, 28) and one_of(False, True, share=0.2):  # an acute course beside it
            _fill(add, one_of, OXYCODONE, day, one_of(7, 14, 15), dose * one_of(0.5, 1.0))
        day = end + one_of(0, -3, 3, 5, 17, 18, 19, 30, 31, share=0.08)
        if one_of(False, True, share=0.02):
            drug = one_of(MORPHINE, OXYCODONE, HYDROCODONE, METHADONE)


def _treat(add: Any, one_of: Any, day: int) -> None:
    """A change of treatment after the response window, or medication for opioid use disorder before the first day."""
    what = one_of("drug", "drug", "drug", "therapy", "patch", "patch", "disorder", "withdrawal")
    if what == "drug":
        drug = one_of(*DRUGS[:3])
        add("adjuvant", record_kind="dispensing", drug_text=drug, start_date=day, quantity=90.0, days_supply=30)
    elif what == "withdrawal":
        for start in (-31, 3):
            drug = DRUGS[-1]
            add("adjuvant", record_kind="dispensing", drug_text=drug, start_date=start, quantity=9.0, days_supply=3)
    elif what == "therapy":
        add("procedure", procedure_date=day, code_system="CPT4", code="97110")
    elif what == "patch":
        add(
            "prescription",
            record_kind="dispensing",
            drug_text=BUPRENORPHINE,
            start_date=day,
            quantity=4.0,
            days_supply=28,
        )
    else:
        add(
            "prescription",
            record_kind="dispensing",
            drug_text=FOR_DISORDER,
            start_date=one_of(-32, -31, -30, -29, 0, 1),
            quantity=2.0,
            days_supply=1,
        )


def _fill(add: Any, one_of: Any, drug: str, day: int, days: int, dose: float) -> None:
    add(
        "prescription",
        record_kind="dispensing",
        drug_text=drug,
        start_date=day,
        quantity=dose / MME_PER_TABLET[drug] * days,
        days_supply=one_of(days, None, share=0.003),
    )


def _hurt(rng: np.random.Generator, add: Any, one_of: Any, treated: int) -> None:
    """Weekly pain on a level for each window, so that changes are exactly those of a threshold, and a few strays."""
    far = float(one_of(4, 5, 6, 7))
    near = far + one_of(0.0, 0.0, 0.5, 1.0, -1.0)
    early = near + one_of(0.0, -0.5, -0.8, -0.9, -1.0, -1.5, -2.0)
    response = near + one_of(0.0, -0.3, -0.4, -1.0, 0.5, 1.0, 2.0, 3.0)
    late = one_of(early + 0.8, early + 1.0, early + 2.0, near - 1.0, near, response)
    later = response + one_of(0.0, -0.9, -1.0, -2.0, -2.0, -3.0, 1.0, 2.0)
    last = one_of(later, response)
    creep = one_of(0.0, 0.15 / 30, 0.3 / 30)
    levels = ((-365, far), (-90, near), (0, near), (14, early), (36, response), (91, late))
    levels += ((max(treated - 95, 92), response), (treated + one_of(28, 30, 60), later), (treated + 150, last))
    shares = {first: one_of(0.9, 0.9, 0.5, 0.2, 0.02) if one_of(False, True, share=0.3) else 0.9 for first, _ in levels}
    days = [int(day) for day in range(-380, 600, 7)]
    edges = [edge for edge in (-366, -365, -91, -90, -1, 13, 14, 35, 36, 90, 91, 180, 181) if rng.random() < 0.4]
    for number, day in enumerate([*days, *edges]):
        first, level = next(((first, level) for first, level in reversed(levels) if day >= first), levels[0])
        if number < len(days) and rng.random() > shares[first]:
            continue
        if day < 0:
            level += creep * day
        stray = one_of(0.0, 1.0, -1.0, share=0.1)
        for _ in range(one_of(1, 2, 3, share=0.1)):
            score = round(min(max(level + stray, 0.0), 10.0), 6)
            add(
                "pain_score",
                scored_at=day
                + (int(rng.integers(0, 7)) if number < len(days) and one_of(False, True, share=0.1) else 0),
                instrument="NRS",
                recall="now",
                setting=one_of("outpatient", "inpatient", "emergency", "unknown", "unknown", share=0.05),
                **({"score": score} if rng.random() < 0.97 else {"score_text": "unable to score"}),
            )
            stray += one_of(0.0, 1.0)
