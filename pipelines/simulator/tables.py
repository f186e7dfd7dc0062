"""What the health system delivers and what was true, as tables.

The record is less than what happened: supplies without days, early and double fills, strengths in the wrong
unit, scores that could not be taken. Codes of new pain regions follow the true class, never the hyperalgesia
itself, so that they carry no more than a coding habit would.
"""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.simulator.clinic import BASELINE_DAYS, Clinic
from pipelines.simulator.people import People
from pipelines.simulator.physiology import TRUTH_DAYS, Physiology, State, live_twice
from pipelines.simulator.products import FAMILIES, IS_PATCH, STRENGTH, dispense

Array = NDArray[Any]

FIRST_DATE = date(2021, 1, 1)
REGION_SHARES = {"M5450": 0.38, "M1711": 0.14, "M542": 0.10, "M1611": 0.08, "M25511": 0.08, "M79641": 0.05,
                 "M79671": 0.05, "R519": 0.05, "R109": 0.04, "R0789": 0.03}  # fmt: skip
REGION_CODES = np.array(list(REGION_SHARES))
# Chronic overlapping pain conditions: mostly fibromyalgia, irritable bowel, chronic migraine.
OVERLAPPING_CODES = np.array(["M797", "M797", "M797", "K589", "G43709"])
INJURY_CODES = np.array(["S39012A", "S32010A", "S52501A", "S83206A"])
BACKGROUND_CODES = np.array(["I10", "E119", "E785", "F329", "F411", "J449", "K219", "Z0000"])
# Cancer 2 %, palliative care 0.5 %, sickle cell disease 0.3 %; and its trait, which is no reason to exclude.
EXCLUDING_SHARES = {"C50911": 0.01, "C61": 0.005, "C3490": 0.005, "Z515": 0.005, "D5700": 0.003,
                    "D573": 0.003}  # fmt: skip
SURGERIES = [("CPT4", "27447"), ("CPT4", "63030"), ("CPT4", "47562"), ("CPT4", "49505"),
             ("ICD10PCS", "0SRC0J9"), ("ICD10PCS", "0FT44ZZ")]  # fmt: skip
UNSCORED_TEXTS = np.array(["unable to score", "asleep", "refused"])
DRUG_TEXTS = np.array(  # by family, spelling, strength
    [
        [[text.format(f"{mg:g}") for mg in strengths] for text in (family.rxnorm_text, family.hospital_text)]
        for family, strengths in zip(FAMILIES, STRENGTH, strict=True)
    ]
)


def patients(rng: np.random.Generator, people: People) -> pl.DataFrame:
    n = len(people.family)
    age = np.clip(np.rint(57 + 14 * rng.standard_normal(n)), 19, 92).astype(int)
    died = people.death_day <= people.last_day
    return pl.DataFrame(
        {
            "patient_id": _ids(np.arange(n)),
            "sex": rng.choice(["female", "male", "unknown"], n, p=[0.565, 0.43, 0.005]),
            "birth_year": FIRST_DATE.year - age,
            "observation_start_date": _dates(people.first_day),
            "observation_end_date": _dates(people.last_day),
            "death_date": _dates(people.last_day).set(pl.Series(~died), None),
        }
    )


def prescriptions(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    """Fills, with the faults of a record. Only the record has them: patients take what was prescribed."""
    who, day, family, strength, quantity, days, is_new = _stack(clinic.fills)
    n = len(who)
    is_early = ~is_new & (rng.random(n) < 0.048)  # the same again, 1 to 5 days before the last is used up
    day = day - is_early * rng.integers(1, 6, n)
    spelling = rng.integers(0, 2, clinic.n)[who]  # a patient has one pharmacy
    in_other_unit = np.where(IS_PATCH[family], strength / 1000, strength * 1000)  # mg per hour; micrograms
    table = pl.DataFrame(
        {
            "patient_id": _ids(who),
            "fill_date": _dates(day),
            "drug_text": DRUG_TEXTS[family, spelling, (STRENGTH[family] == strength[:, None]).argmax(axis=1)],
            "strength": np.where(rng.random(n) < 0.002, in_other_unit, strength),
            "strength_unit": np.where(IS_PATCH[family], "MCG/HR", "MG"),
            "route": np.where(IS_PATCH[family], "transdermal", "oral"),
            "quantity": quantity,
            "days_supply": pl.Series(days).set(pl.Series(rng.random(n) < 0.03), None),
        }
    )
    is_seen = _observed(clinic.people, who, day)
    is_double = is_seen & (rng.random(n) < 0.002)
    return _numbered(pl.concat([table.filter(is_seen), table.filter(is_double)]), "prescription_id", "R")


def pain_scores(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    who, day, score, kind = _stack(clinic.scores)
    n = len(who)
    minute = np.where(kind == 2, rng.integers(0, 24 * 60, n), rng.integers(8 * 60, 17 * 60, n))
    unscored = UNSCORED_TEXTS[rng.integers(0, len(UNSCORED_TEXTS), n)]
    table = pl.DataFrame(
        {
            "patient_id": _ids(who),
            "scored_at": _dates(day).cast(pl.Datetime("ms")) + pl.Series(minute * 60_000).cast(pl.Duration("ms")),
            "instrument": np.full(n, "NRS"),
            "setting": np.array(["outpatient", "outpatient", "inpatient"])[kind],
            "score": np.where(rng.random(n) < 0.01, unscored, score.astype(str)),
            "visit_kind": np.array(["scheduled", "unscheduled", "unscheduled"])[kind],
        }
    )
    return _numbered(table.filter(_observed(clinic.people, who, day)), "pain_score_id", "S")


def diagnoses(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    people, n = clinic.people, clinic.n
    span, everyone = len(clinic.nociception) - BASELINE_DAYS - TRUTH_DAYS, np.arange(n)
    region = rng.choice(len(REGION_CODES), n, p=list(REGION_SHARES.values()))
    is_oih, is_progression = people.true_class == "oih", people.true_class == "progression"
    rows: list[tuple[Array, ...]] = []

    def scatter(who: Array, expected: Array | float, first: Array | int, days: int) -> tuple[Array, Array]:
        """Poisson many per patient, anywhere within these days."""
        who, first = np.broadcast_arrays(who, first)
        count = rng.poisson(np.broadcast_to(expected, who.shape))
        who, first = np.repeat(who, count), np.repeat(first, count)
        return who, np.floor(first + days * rng.random(len(who))).astype(int)

    def pick(codes: Array, count: int) -> Array:
        return codes[rng.integers(0, len(codes), count)]

    def other_region(who: Array) -> Array:
        return REGION_CODES[(region[who] + rng.integers(1, len(REGION_CODES), len(who))) % len(REGION_CODES)]

    who, day = scatter(everyone, 3 * span / 365, 0, span)
    rows.append((who, day, REGION_CODES[region[who]]))
    who, day = scatter(everyone, 0.3 * span / 365, 0, span)
    rows.append((who, day, other_region(who)))
    raised, raised_day, *_ = _stack(clinic.escalations)
    new_regions = np.where(is_oih, 0.9, np.where(is_progression, 0.5, 0.3))
    who, day = scatter(raised, new_regions[raised], raised_day, 91)
    rows.append((who, day, other_region(who)))
    overlapping = np.flatnonzero(rng.random(n) < np.where(is_oih, 0.22, 0.12))
    who, day = scatter(overlapping, 1.5 * span / 365, 0, span)
    rows.append((who, day, pick(OVERLAPPING_CODES, n)[who]))
    ramped = np.flatnonzero(is_progression & (rng.random(n) < 0.6))
    rows.append((ramped, (people.ramp_start[ramped] + rng.uniform(-150, 150, len(ramped))).astype(int),
                 pick(INJURY_CODES, len(ramped))))  # fmt: skip
    who, day = scatter(everyone, 0.06 * span / 300, 0, span)
    rows.append((who, day, pick(INJURY_CODES, len(who))))
    who, day, is_surgery = _stack(clinic.acute_events)
    rows.append((who[~is_surgery], day[~is_surgery], pick(INJURY_CODES, int((~is_surgery).sum()))))
    for excluding, share in EXCLUDING_SHARES.items():
        ill = np.flatnonzero(rng.random(n) < share)
        who, day = scatter(ill, 4, rng.integers(0, span, len(ill)), 365)
        rows.append((who, day, np.full(len(who), excluding)))
    who, day = scatter(everyone, 2 * span / 365, 0, span)
    rows.append((who, day, pick(BACKGROUND_CODES, len(who))))

    who, day, code = _stack(rows)
    table = pl.DataFrame(
        {
            "patient_id": _ids(who),
            "diagnosis_date": _dates(day),
            "code_system": np.full(len(who), "ICD10CM"),
            "code": code,
        }
    )
    return _numbered(table.filter(_observed(people, who, day)), "diagnosis_id", "D")


def procedures(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    who, day, is_surgery = _stack(clinic.acute_events)
    code_system, code = np.array(SURGERIES)[rng.integers(0, len(SURGERIES), len(who))].T
    table = pl.DataFrame(
        {
            "patient_id": _ids(who),
            "procedure_date": _dates(day),
            "code_system": code_system,
            "code": code,
        }
    )
    return _numbered(table.filter(is_surgery & _observed(clinic.people, who, day)), "procedure_id", "Q")


def true_patients(people: People) -> pl.DataFrame:
    """Grain: one row per patient. Nociception and hyperalgesia in NRS, doses in MME."""
    return pl.DataFrame(
        {
            "patient_id": _ids(np.arange(len(people.family))),
            "true_class": people.true_class,
            "therapy": people.therapy,
            "start_dose_mme": dispense(people.family, people.start_mme)[3].round(3),
            "nociception_nrs": people.nociception_nrs.round(4),
            "analgesia_max": people.body.analgesia_max.round(4),
            "tolerance_max": people.body.tolerance_max.round(4),
            "hyperalgesia_max_nrs": people.body.hyperalgesia_max_nrs.round(4),
            "hyperalgesia_half_dose_mme": people.body.hyperalgesia_half_mme.round(4),
            "hyperalgesia_off_half_life_days": (-1 / np.log2(1 - people.body.hyperalgesia_off_rate)).round(4),
        }
    )


def true_escalations(clinic: Clinic) -> pl.DataFrame:
    """Grain: one row per patient and first fill at a higher dose that a prescriber chose.

    ``y_escalation``: reported pain over days 14 to 90 averages at least 0.5 NRS more than it would have at
    the dose before, all else equal (``pain_difference_nrs``). ``y_state``: hyperalgesia over days 30 to 90
    averages at least 1 NRS (``hyperalgesia_nrs``), whether or not the escalation brought it.
    ``dominant_cause``: the part of felt pain that rose most from the 90 days before to days 14 to 90 at the
    higher dose (the ``_change_nrs`` columns); NULL where none rose by 0.5 NRS.
    """
    people = clinic.people
    who, day, before, after, cycle, *state = _stack(clinic.escalations)
    seen = _observed(people, who, day)
    who, day, before, after, cycle = (part[seen] for part in (who, day, before, after, cycle))

    def days(history: Array, first: int, count: int) -> Array:
        return history[day + BASELINE_DAYS + first + np.arange(count)[:, None], who]

    def baseline(history: Array) -> Array:
        total = np.zeros(len(who))
        for row in days(history, -BASELINE_DAYS, BASELINE_DAYS):
            total += row
        return total / BASELINE_DAYS

    was_nociception, was_analgesia = baseline(clinic.nociception), baseline(clinic.analgesia)
    now = live_twice(
        Physiology(*(part[who] for part in people.body)), State(*(part[seen] for part in state)),
        people.adherence[who], people.short_days[who], cycle, before, after,
        days(clinic.nociception, 0, TRUTH_DAYS), days(clinic.noises, 0, TRUTH_DAYS),
    )  # fmt: skip
    changes = {
        "hyperalgesia": now.hyperalgesia_nrs - baseline(clinic.hyperalgesia),
        "nociception": (now.nociception_nrs - was_nociception) * (1 - (now.analgesia + was_analgesia) / 2),
        "analgesia_loss": (was_analgesia - now.analgesia) * (now.nociception_nrs + was_nociception) / 2,
        "withdrawal": now.withdrawal_nrs - baseline(clinic.withdrawal),
    }
    stacked = np.stack([change.round(4) for change in changes.values()])
    cause = pl.Series(np.array(list(changes))[stacked.argmax(axis=0)])
    difference, level = now.pain_difference_nrs.round(4), now.hyperalgesia_state_nrs.round(4)
    return pl.DataFrame(
        {
            "patient_id": _ids(who),
            "index_date": _dates(day),
            "dose_before_mme": before.round(3),
            "dose_after_mme": after.round(3),
            "y_escalation": (difference >= 0.5).astype(int),
            "pain_difference_nrs": difference,
            "y_state": (level >= 1).astype(int),
            "hyperalgesia_nrs": level,
            "dominant_cause": cause.set(pl.Series(stacked.max(axis=0) < 0.5), None),
            **{f"{name}_change_nrs": change for name, change in zip(changes, stacked, strict=True)},
        }
    ).sort("patient_id", "index_date")


def _stack(rows: list[tuple[Array, ...]]) -> list[Array]:
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _ids(who: Array) -> pl.Series:
    return "P" + pl.Series(who + 1).cast(pl.String).str.zfill(6)


def _dates(day: Array) -> pl.Series:
    return pl.Series(day + (FIRST_DATE - date(1970, 1, 1)).days).cast(pl.Int32).cast(pl.Date)


def _observed(people: People, who: Array, day: Array) -> Array:
    return (day >= people.first_day[who]) & (day <= people.last_day[who])


def _numbered(table: pl.DataFrame, key: str, letter: str) -> pl.DataFrame:
    """Number rows after sorting by every column, so that order and number tell nothing of how a row arose."""
    number = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(8)
    return table.sort(pl.all()).select((letter + number).alias(key), pl.all())
