"""What is prescribed beside opioids: started, stepped up and stopped at the same visits, by the same pain on record.

None of it acts on pain. What follows a step of gabapentin is therefore regression to the mean and the course of the
disease alone, which is what a sham index date is for. Shares and chances are assumed.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Drug(NamedTuple):
    """One drug, its products by rising dose, and how often a visit finds, starts, raises or stops it.

    Attributes:
        products: Text and units a day.
        taken: Share of patients who take it when the record begins.
        start: Chance that a visit at pain 5 starts it; a fifth, or a third less, per NRS more or less.
        stop: Chance that a visit stops it.
    """

    products: tuple[tuple[str, int], ...]
    taken: float
    start: float
    stop: float = 0.02


DRUGS = {
    "gabapentin": Drug((("gabapentin 300 MG Oral Capsule", 1), ("gabapentin 300 MG Oral Capsule", 3),
                        ("gabapentin 600 MG Oral Tablet", 3), ("gabapentin 800 MG Oral Tablet", 3),
                        ("gabapentin 600 MG Oral Tablet", 6)), 0.20, 0.005),
    "pregabalin": Drug((("pregabalin 75 MG Oral Capsule", 2), ("pregabalin 150 MG Oral Capsule", 2),
                        ("pregabalin 300 MG Oral Capsule", 2)), 0.05, 0.001),
    "duloxetine": Drug((("duloxetine 30 MG Delayed Release Oral Capsule", 1),
                        ("duloxetine 60 MG Delayed Release Oral Capsule", 1)), 0.15, 0.003),
    "amitriptyline": Drug((("amitriptyline hydrochloride 25 MG Oral Tablet", 1),
                           ("amitriptyline hydrochloride 50 MG Oral Tablet", 1)), 0.06, 0.001),
    "ibuprofen": Drug((("ibuprofen 600 MG Oral Tablet", 3),), 0.12, 0.004, 0.1),
    "meloxicam": Drug((("meloxicam 15 MG Oral Tablet", 1),), 0.12, 0.002),
    "lorazepam": Drug((("lorazepam 1 MG Oral Tablet", 2),), 0.10, 0.001),
    # After an opioid dose was cut: against withdrawal, for the weeks to the next visit.
    "clonidine": Drug((("clonidine hydrochloride 0.1 MG Oral Tablet", 2),), 0.0, 0.0, 1.0),
    "naltrexone": Drug((("naltrexone 4.5 MG Oral Capsule", 1),), 0.0, 0.0),  # low dose, after opioids were stopped
    "memantine": Drug((("memantine hydrochloride 10 MG Oral Tablet", 2),), 0.0, 0.0003),
}  # fmt: skip
CLONIDINE, NALTREXONE = list(DRUGS).index("clonidine"), list(DRUGS).index("naltrexone")
TEXTS = np.array([[drug.products[min(i, len(drug.products) - 1)][0] for i in range(5)] for drug in DRUGS.values()])
UNITS_A_DAY = np.array(
    [[drug.products[min(i, len(drug.products) - 1)][1] for i in range(5)] for drug in DRUGS.values()]
)
TAKEN, START, STOP = np.array([(drug.taken, drug.start, drug.stop) for drug in DRUGS.values()]).T
HIGHEST = np.array([len(drug.products) for drug in DRUGS.values()])


class Adjuvants:
    """What each patient takes beside opioids; level 0 is none, 1 the first product of ``DRUGS``."""

    def __init__(self, rng: np.random.Generator, patient_count: int) -> None:
        n = patient_count
        self.rng = rng
        takes = rng.random((n, len(DRUGS))) < TAKEN
        self.level = np.where(takes, 1 + (rng.random((n, len(DRUGS))) ** 2 * HIGHEST).astype(int), 0).astype(np.int8)
        who, drug = np.nonzero(self.level)
        self.changes = [(who, drug, rng.integers(-29, 1, len(who)), self.level[who, drug])]

    def review(self, day: int, who: Array, pain: Array, usual: Array, cuts: Array, stops: Array) -> None:
        """Start, step up or stop at a visit.

        Args:
            who: Patients who come today; one value per patient in what follows.
            pain, usual: On record lately and before (NRS); NaN, where there is none, decides nothing.
            cuts, stops: Whether today's visit cuts or stops the opioid.
        """
        level, luck = self.level[who], self.rng.random((len(who), len(DRUGS)))
        worse, worse_than_usual = (np.where(np.isnan(pain), 0, pain - other) for other in (5, usual))
        start = START * np.exp(0.2 * worse)[:, None]
        start[:, CLONIDINE] += 0.1 * cuts
        start[:, NALTREXONE] += 0.03 * stops
        raising = 1 / (1 + np.exp(3.5 - 0.28 * worse - 0.28 * worse_than_usual))
        goes_up = np.where(level == 0, luck < start, (level < HIGHEST) & (luck < raising[:, None]))
        ends = (level > 0) & (luck > 1 - STOP)
        new = np.where(ends, 0, level + goes_up).astype(np.int8)
        row, drug = np.nonzero(new != level)
        self.level[who] = new
        self.changes.append((who[row], drug, np.full(len(row), day), new[row, drug]))

    def fills(self, last_day: Array) -> tuple[Array, ...]:
        """Monthly fills of what was taken: patient, drug, day and level; some are never picked up."""
        who, drug, day, level = (np.concatenate(part) for part in zip(*self.changes, strict=True))
        order = np.lexsort((day, drug, who))
        who, drug, day, level = who[order], drug[order], day[order], level[order]
        is_followed = (who[1:] == who[:-1]) & (drug[1:] == drug[:-1])
        until = last_day[who] + 1
        until[:-1] = np.where(is_followed, np.minimum(day[1:], until[:-1]), until[:-1])
        count = np.where(level > 0, np.maximum(-(-(until - day) // 30), 0), 0)
        who, drug, level = np.repeat(who, count), np.repeat(drug, count), np.repeat(level, count)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        day = np.repeat(day, count) + 30 * number
        is_filled = self.rng.random(len(who)) > 0.05
        return who[is_filled], drug[is_filled], day[is_filled], level[is_filled]
