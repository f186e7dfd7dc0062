"""What the health system delivers and what was true, as tables of a block of patients.

The record is less than what happened: supplies without days, early and double fills, strengths and quantities
in the wrong unit, scores that could not be taken. Codes of other pain regions follow the true class, never the
hyperalgesia itself, so that they carry no more than a coding habit would; and neither they nor what notes say wait
for an escalation, or a rule that looks for them would find escalations. Each table draws from a generator of its own.
Patients are numbers within the block here, and rows have none yet.
"""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.simulator import adjuvants as drugs
from pipelines.simulator.clinic import BASELINE_DAYS, EMERGENCY, NEVER, Clinic
from pipelines.simulator.people import People
from pipelines.simulator.physiology import TRUTH_DAYS, Physiology, State, live_twice
from pipelines.simulator.products import FAMILIES, IS_PATCH, STRENGTH, dispense

Array = NDArray[Any]

FIRST_DATE = date(2021, 1, 1)
REGION_SHARES = {"M5450": 0.38, "M1711": 0.14, "M542": 0.10, "M1611": 0.08, "M25511": 0.08, "M79641": 0.05,
                 "M79671": 0.05, "R519": 0.05, "R109": 0.04, "R0789": 0.03}  # fmt: skip
REGION_CODES = np.array(list(REGION_SHARES))
# Codes of other regions in 90 days (assumed); in hyperalgesia while opioids are taken, else as in any other class.
OIH_OTHER_REGIONS, PROGRESSION_OTHER_REGIONS, OTHER_REGIONS = 0.9, 0.5, 0.3
# Chronic overlapping pain conditions: mostly fibromyalgia, irritable bowel, chronic migraine.
OVERLAPPING_CODES = np.array(["M797", "M797", "M797", "K589", "G43709"])
INJURY_CODES = np.array(["S39012A", "S32010A", "S52501A", "S83206A"])
BACKGROUND_CODES = np.array(["I10", "E119", "E785", "F329", "F411", "J449", "K219", "Z0000"])
# Cancer 2 %, palliative care 0.5 %, sickle cell disease 0.3 %; and its trait, which is no reason to exclude.
EXCLUDING_SHARES = {"C50911": 0.01, "C61": 0.005, "C3490": 0.005, "Z515": 0.005, "D5700": 0.003,
                    "D573": 0.003}  # fmt: skip
THERAPIES = np.array(["97110", "97140", "97530"])  # CPT 4
INJECTIONS = np.array(["20610", "62323", "64483"])  # CPT 4
SURGERIES = [("CPT4", "27447"), ("CPT4", "63030"), ("CPT4", "47562"), ("CPT4", "49505"),
             ("ICD10PCS", "0SRC0J9"), ("ICD10PCS", "0FT44ZZ")]  # fmt: skip
DRUG_TEXTS = np.array(  # by family, spelling, strength
    [
        [[text.format(f"{mg:g}") for mg in strengths] for text in (family.rxnorm_text, family.hospital_text)]
        for family, strengths in zip(FAMILIES, STRENGTH, strict=True)
    ]
)
SETTINGS = ["outpatient", "outpatient", "emergency", "inpatient"]
VISIT_KINDS = ["scheduled", "unscheduled", "unscheduled", "unscheduled"]
SCORE_TEXTS = np.array([*map(str, range(11)), "unable to score", "asleep", "refused"])
PEG_TEXTS = np.array([f"{thirds / 3:.1f}" for thirds in range(31)])


def patients(rng: np.random.Generator, people: People) -> pl.DataFrame:
    n = len(people.family)
    age = np.clip(np.rint(57 + 14 * rng.standard_normal(n)), 19, 92).astype(int)
    died = people.death_day <= people.last_day
    return pl.DataFrame(
        {
            "patient_id": np.arange(n),
            "sex": rng.choice(["female", "male", "unknown"], n, p=[0.565, 0.43, 0.005]),
            "birth_year": FIRST_DATE.year - age,
            "observation_start_date": _dates(people.first_day),
            "observation_end_date": _dates(people.last_day),
            "death_date": _dates(people.last_day).set(pl.Series(~died), None),
        }
    )


def prescriptions(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    """Fills, with the faults of a record. Only the record has them: patients take what was prescribed."""
    who, day, family, strength, quantity, days, is_new, prescriber = _stack(clinic.fills)
    n = len(who)
    is_early = ~is_new & (rng.random(n) < 0.048)  # the same again, 1 to 5 days before the last is used up
    day = day - is_early * rng.integers(1, 6, n)
    spelling = (rng.integers(0, 2, clinic.n)[who] + prescriber) % 2  # a patient has one pharmacy, until moving on
    in_other_unit = np.where(IS_PATCH[family], strength / 1000, strength * 1000)  # mg per hour; micrograms
    luck = rng.random(n) / max(clinic.world.unit_error_share, 1e-9)
    in_milligrams = np.where(IS_PATCH[family], quantity * 3, np.rint(quantity * strength)).astype(int)  # or worn days
    table = pl.DataFrame(
        {
            "patient_id": who,
            "fill_date": _dates(day),
            "drug_text": _text(DRUG_TEXTS, family, spelling, (STRENGTH[family] == strength[:, None]).argmax(axis=1)),
            "strength": np.where(luck < 0.7, in_other_unit, strength),
            "strength_unit": _text(["MG", "MCG/HR"], IS_PATCH[family].astype(int)),
            "route": _text(["oral", "transdermal"], IS_PATCH[family].astype(int)),
            "quantity": np.where((luck >= 0.7) & (luck < 1), in_milligrams, quantity),
            "days_supply": pl.Series(days).set(pl.Series(rng.random(n) < 0.03), None),
        }
    )
    is_seen = _observed(clinic.people, who, day)
    is_double = is_seen & (rng.random(n) < 0.002)
    return pl.concat([table.filter(is_seen), table.filter(is_double)])


def adjuvants(clinic: Clinic) -> pl.DataFrame:
    """Fills of what is prescribed beside opioids."""
    who, drug, day, level = clinic.adjuvants.fills(clinic.people.last_day)
    table = pl.DataFrame(
        {
            "patient_id": who,
            "drug_text": _text(drugs.TEXTS, drug, level - 1),
            "fill_date": _dates(day),
            "quantity": 30 * drugs.UNITS_A_DAY[drug, level - 1],
            "days_supply": np.full(len(who), 30),
        }
    )
    return table.filter(_observed(clinic.people, who, day))


def pain_scores(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    """Scores on the numeric rating scale and, in some, the PEG: the mean of its three items, with one decimal."""
    who, day, score, kind = _stack(clinic.scores)
    asked, asked_day, thirds = _stack(clinic.functions)
    is_unscored = rng.random(len(who)) < 0.01
    text = np.where(is_unscored, rng.integers(11, len(SCORE_TEXTS), len(who)), score)
    is_peg = np.repeat([0, 1], [len(who), len(asked)])
    who, day = np.concatenate([who, asked]), np.concatenate([day, asked_day])
    kind = np.concatenate([kind, np.zeros(len(asked), dtype=int)])
    n = len(who)
    minute = np.where(kind >= EMERGENCY, rng.integers(0, 24 * 60, n), rng.integers(8 * 60, 17 * 60, n))
    table = pl.DataFrame(
        {
            "patient_id": who,
            "scored_at": _dates(day).cast(pl.Datetime("ms")) + pl.Series(minute * 60_000).cast(pl.Duration("ms")),
            "instrument": _text(["NRS", "PEG"], is_peg),
            "setting": _text(SETTINGS, kind),
            "score": pl.concat([_text(SCORE_TEXTS, text), _text(PEG_TEXTS, thirds)]),
            "visit_kind": _text(VISIT_KINDS, kind),
        }
    )
    return table.filter(_observed(clinic.people, who, day))


def diagnoses(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    people, n = clinic.people, clinic.n
    span, everyone = len(clinic.nociception) - BASELINE_DAYS - TRUTH_DAYS, np.arange(n)
    region = rng.choice(len(REGION_CODES), n, p=list(REGION_SHARES.values()))
    is_oih, is_progression = people.true_class == "oih", people.true_class == "progression"
    rows: list[tuple[Array, ...]] = []

    def other_region(who: Array) -> Array:
        return REGION_CODES[(region[who] + rng.integers(1, len(REGION_CODES), len(who))) % len(REGION_CODES)]

    who, day = scatter(rng, everyone, 3 * span / 365, 0, span)
    rows.append((who, day, REGION_CODES[region[who]]))
    in_90_days = np.select([is_oih, is_progression], [OIH_OTHER_REGIONS, PROGRESSION_OTHER_REGIONS], OTHER_REGIONS)
    who, day = scatter(rng, everyone, in_90_days * span / 90, 0, span)
    is_untreated = is_oih[who] & ~clinic.is_treated[day + BASELINE_DAYS, who]
    kept = ~is_untreated | (rng.random(len(who)) < OTHER_REGIONS / OIH_OTHER_REGIONS)
    rows.append((who[kept], day[kept], other_region(who[kept])))
    overlapping = np.flatnonzero(rng.random(n) < np.where(is_oih, 0.22, 0.12))
    who, day = scatter(rng, overlapping, 1.5 * span / 365, 0, span)
    rows.append((who, day, pick(rng, OVERLAPPING_CODES, n)[who]))
    ramped = np.flatnonzero(is_progression & (rng.random(n) < 0.6))
    rows.append((ramped, (people.ramp_start[ramped] + rng.uniform(-150, 150, len(ramped))).astype(int),
                 pick(rng, INJURY_CODES, len(ramped))))  # fmt: skip
    who, day = scatter(rng, everyone, 0.06 * span / 300, 0, span)
    rows.append((who, day, pick(rng, INJURY_CODES, len(who))))
    who, day, is_surgery = _stack(clinic.acute_events)
    rows.append((who[~is_surgery], day[~is_surgery], pick(rng, INJURY_CODES, int((~is_surgery).sum()))))
    for excluding, share in EXCLUDING_SHARES.items():
        ill = np.flatnonzero(rng.random(n) < share)
        who, day = scatter(rng, ill, 4, rng.integers(0, span, len(ill)), 365)
        rows.append((who, day, np.full(len(who), excluding)))
    who, day = scatter(rng, everyone, 2 * span / 365, 0, span)
    rows.append((who, day, pick(rng, BACKGROUND_CODES, len(who))))

    who, day, code = _stack(rows)
    table = pl.DataFrame(
        {
            "patient_id": who,
            "diagnosis_date": _dates(day),
            "code_system": pl.repeat("ICD10CM", len(who), eager=True),
            "code": code,
        }
    )
    return table.filter(_observed(people, who, day))


def procedures(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    """Operations; and injections and courses of physical therapy, which are no operations and act on nothing."""
    people, n = clinic.people, clinic.n
    span, everyone = clinic.world.days, np.arange(n)
    who, day, is_surgery = _stack(clinic.acute_events)
    who, day = who[is_surgery], day[is_surgery]
    surgery = np.array(SURGERIES)[rng.integers(0, len(SURGERIES), len(who))]
    rows: list[tuple[Array, ...]] = [(who, day, surgery[:, 0], surgery[:, 1])]
    who, day = scatter(rng, everyone, 0.08 * span / 365, 0, span)
    rows.append((who, day, np.full(len(who), "CPT4"), pick(rng, INJECTIONS, len(who))))
    start = np.where(rng.random(n) < 0.6, clinic.rehab_start, NEVER)
    start = np.minimum(start, clinic.care_start)
    begun = np.flatnonzero(start < NEVER)
    who, day = scatter(rng, everyone, 0.12 * span / 365, 0, span)
    who, day = np.concatenate([who, begun]), np.concatenate([day, start[begun]])
    who, day = np.repeat(who, 8), np.repeat(day, 8) + np.tile(np.arange(8) * 5, len(who))  # 8 sessions in 5 weeks
    rows.append((who, day, np.full(len(who), "CPT4"), pick(rng, THERAPIES, len(who))))
    who, day, code_system, code = _stack(rows)
    table = pl.DataFrame({"patient_id": who, "procedure_date": _dates(day), "code_system": code_system, "code": code})
    return table.filter(_observed(people, who, day))


def encounters(clinic: Clinic, diagnoses: pl.DataFrame, procedures: pl.DataFrame) -> pl.DataFrame:
    """Visits and stays. Whatever was coded was coded at one of them: there are no codes without."""
    people = clinic.people
    who, day, kind = _stack(clinic.visits)
    hurt, hurt_day, is_surgery = _stack(clinic.acute_events)
    visit = pl.DataFrame({"patient_id": who, "start_date": _dates(day), "is_emergency": kind == EMERGENCY}).filter(
        _observed(people, who, day)
    )
    injury = pl.DataFrame({"patient_id": hurt, "start_date": _dates(hurt_day), "is_emergency": True}).filter(
        ~is_surgery & _observed(people, hurt, hurt_day)
    )
    coded = [
        table.select("patient_id", pl.col(date).alias("start_date"), is_emergency=False)
        for table, date in ((diagnoses, "diagnosis_date"), (procedures, "procedure_date"))
    ]
    who, day, days = _stack(clinic.stays)
    stay = pl.DataFrame(
        {
            "patient_id": who,
            "start_date": _dates(day),
            "end_date": _dates(np.minimum(day + days - 1, people.last_day[who])),
            "encounter_kind": pl.repeat("inpatient", len(who), eager=True),
        }
    ).filter(_observed(people, who, day))
    ambulatory = (
        pl.concat([visit, injury, *coded])
        .group_by("patient_id", "start_date")
        .agg(pl.col("is_emergency").any())
        .select(
            "patient_id",
            "start_date",
            pl.col("start_date").alias("end_date"),
            pl.when("is_emergency").then(pl.lit("emergency")).otherwise(pl.lit("outpatient")).alias("encounter_kind"),
        )
    )
    inside = stay.select("patient_id", start_date=pl.date_ranges("start_date", "end_date")).explode("start_date")
    return pl.concat([ambulatory.join(inside, on=["patient_id", "start_date"], how="anti"), stay])


def note_mentions(rng: np.random.Generator, clinic: Clinic) -> pl.DataFrame:
    """Notes that name hyperalgesia in patients on opioids: few where it is there, fewer where not; some deny it.

    Affirmed in a window of 257 days in 5 % of those with 1 NRS of it, in 0.2 % of the others; denied in 0.5 %.
    """
    span = len(clinic.nociception) - BASELINE_DAYS - TRUTH_DAYS
    highest, usual, denied = 0.05, 0.002, 0.005
    who, day = scatter(rng, np.arange(clinic.n), (highest + denied) * span / 257, 0, span)
    is_there = clinic.hyperalgesia[day + BASELINE_DAYS, who] >= 1
    luck = (highest + denied) * rng.random(len(who))
    is_affirmed = luck < np.where(is_there, highest, usual)
    is_denied = luck > highest
    table = pl.DataFrame(
        {
            "patient_id": who,
            "mention_date": _dates(day),
            "concept": pl.repeat("opioid_induced_hyperalgesia", len(who), eager=True),
            "is_negated": is_denied,
        }
    )
    is_treated = clinic.is_treated[day + BASELINE_DAYS, who]
    return table.filter((is_affirmed | is_denied) & is_treated & _observed(clinic.people, who, day))


def true_patients(people: People) -> pl.DataFrame:
    """Grain: one row per patient. Nociception and hyperalgesia in NRS, doses in MME."""
    return pl.DataFrame(
        {
            "patient_id": np.arange(len(people.family)),
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
            "patient_id": who,
            "index_date": _dates(day),
            "true_class": people.true_class[who],
            "dose_before_mme": before.round(3),
            "dose_after_mme": after.round(3),
            "y_escalation": (difference >= 0.5).astype(int),
            "pain_difference_nrs": difference,
            "y_state": (level >= 1).astype(int),
            "hyperalgesia_nrs": level,
            "dominant_cause": cause.set(pl.Series(stacked.max(axis=0) < 0.5), None),
            **{f"{name}_change_nrs": change for name, change in zip(changes, stacked, strict=True)},
        }
    )


def scatter(
    rng: np.random.Generator, who: Array, expected: Array | float, first: Array | int, days: int
) -> tuple[Array, Array]:
    """Poisson many days per patient, anywhere within these days: patient and day."""
    who, first = np.broadcast_arrays(who, first)
    count = rng.poisson(np.broadcast_to(expected, who.shape))
    who, first = np.repeat(who, count), np.repeat(first, count)
    return who, np.floor(first + days * rng.random(len(who))).astype(int)


def pick(rng: np.random.Generator, values: Array, count: int) -> Array:
    return values[rng.integers(0, len(values), count)]


def _stack(rows: list[tuple[Array, ...]]) -> list[Array]:
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _text(texts: Any, *index: Array) -> pl.Series:
    """Each row's text, each of the texts made once."""
    flat = np.ravel_multi_index(index, np.shape(texts))
    return pl.Series(np.ravel(texts).tolist()).gather(flat)


def _dates(day: Array) -> pl.Series:
    return pl.Series(day + (FIRST_DATE - date(1970, 1, 1)).days).cast(pl.Int32).cast(pl.Date)


def _observed(people: People, who: Array, day: Array) -> Array:
    return (day >= people.first_day[who]) & (day <= people.last_day[who])
