"""What is dispensed: opioid product lines, and the whole units that a planned dose comes to.

Factors: CDC 2022 (MMWR Recomm Rep 71:1), MME per mg; for patches MME per mcg/h worn. Market shares are
assumed.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Family(NamedTuple):
    """One opioid product line: its market share, and how two kinds of source spell it."""

    ingredient: str
    factor: float
    strengths: tuple[float, ...]
    units_a_day: int  # at most; 6 for short-acting tablets
    share: float
    rxnorm_text: str
    hospital_text: str


FAMILIES = [
    # The first three also serve acute courses, at their lowest strength.
    Family("oxycodone", 1.5, (5, 7.5, 10), 6, 3,
           "acetaminophen 325 MG / oxycodone hydrochloride {} MG Oral Tablet",
           "OXYCODONE-ACETAMINOPHEN {}-325 MG TAB"),
    Family("hydrocodone", 1.0, (5, 7.5, 10), 6, 4,
           "acetaminophen 325 MG / hydrocodone bitartrate {} MG Oral Tablet",
           "HYDROCODONE-ACETAMINOPHEN {}-325 MG TAB"),
    Family("tramadol", 0.2, (50,), 6, 2,
           "tramadol hydrochloride {} MG Oral Tablet",
           "TRAMADOL {} MG TAB"),
    Family("oxycodone", 1.5, (5, 10, 15, 20, 30), 6, 4,
           "oxycodone hydrochloride {} MG Oral Tablet",
           "OXYCODONE {} MG TAB"),
    Family("oxycodone", 1.5, (10, 20, 40, 80), 4, 1,
           "12 HR oxycodone hydrochloride {} MG Extended Release Oral Tablet",
           "OXYCODONE ER {} MG TAB"),
    Family("hydrocodone", 1.0, (20, 30, 40, 60, 80, 100, 120), 3, 0.3,
           "24 HR hydrocodone bitartrate {} MG Extended Release Oral Tablet",
           "HYDROCODONE ER {} MG TAB"),
    Family("morphine", 1.0, (15, 30, 60, 100), 4, 3,
           "12 HR morphine sulfate {} MG Extended Release Oral Tablet",
           "MORPHINE ER {} MG TAB"),
    Family("hydromorphone", 5.0, (2, 4, 8), 6, 1,
           "hydromorphone hydrochloride {} MG Oral Tablet",
           "HYDROMORPHONE {} MG TAB"),
    Family("oxymorphone", 3.0, (5, 10), 6, 0.3,
           "oxymorphone hydrochloride {} MG Oral Tablet",
           "OXYMORPHONE {} MG TAB"),
    Family("methadone", 4.7, (5, 10), 6, 0.5,
           "methadone hydrochloride {} MG Oral Tablet",
           "METHADONE {} MG TAB"),
    Family("tapentadol", 0.4, (50, 75, 100), 6, 0.5,
           "tapentadol {} MG Oral Tablet",
           "TAPENTADOL {} MG TAB"),
    Family("codeine", 0.15, (15, 30, 60), 6, 1,
           "acetaminophen 300 MG / codeine phosphate {} MG Oral Tablet",
           "ACETAMINOPHEN-CODEINE 300-{} MG TAB"),
    Family("fentanyl", 2.4, (25, 37.5, 50, 62.5, 75, 87.5, 100), 1, 1,
           "fentanyl {} MCG/HR Transdermal Patch",
           "FENTANYL {} MCG/HR TD PATCH"),
]  # fmt: skip
ACUTE_FAMILIES = 3
IS_PATCH = np.array([family.ingredient == "fentanyl" for family in FAMILIES])
INGREDIENT = np.unique([family.ingredient for family in FAMILIES], return_inverse=True)[1]
STRENGTH = np.array([(f.strengths + f.strengths[-1:] * 7)[:7] for f in FAMILIES])  # the highest one fills up
UNIT_MME = STRENGTH * np.array([[family.factor] for family in FAMILIES])  # of one tablet, or one worn patch
UNITS_A_DAY = np.array([family.units_a_day for family in FAMILIES])
HIGHEST_MME = UNITS_A_DAY * UNIT_MME[:, -1]
# Nobody is started on a long-acting line for less than its lowest strength.
LOWEST_MME = np.where(UNITS_A_DAY < 6, UNIT_MME[:, 0], 0)
# By family, the family of the same ingredient that reaches the highest dose.
STRONGEST = np.where(INGREDIENT[:, None] == INGREDIENT, HIGHEST_MME, 0).argmax(axis=1)
SHARE = np.array([family.share for family in FAMILIES])


def choose_family(rng: np.random.Generator, plan_mme: Array, not_ingredient: Array) -> Array:
    """Choose a product line of another ingredient than given, one that leaves room to double the dose."""
    plan = plan_mme[:, None]
    has_room = np.minimum(2.2 * plan, 320) <= HIGHEST_MME[STRONGEST]
    can = (plan >= LOWEST_MME) & (plan <= HIGHEST_MME) & has_room & (not_ingredient[:, None] != INGREDIENT)
    reach = np.cumsum(SHARE * can, axis=1)
    return (reach <= (rng.random(len(plan)) * reach[:, -1])[:, None]).sum(axis=1)


def dispense(family: Array, plan_mme: Array) -> tuple[Array, Array, Array, Array]:
    """Choose strength and whole units for a planned daily dose.

    Returns:
        Strength (mg, or mcg/h), quantity (units), days supply, and the daily dose (MME) that these come to.
    """
    plan, is_patch = np.minimum(plan_mme, HIGHEST_MME[family]), IS_PATCH[family]
    fits = plan[:, None] <= UNITS_A_DAY[family][:, None] * UNIT_MME[family]
    nearest = np.abs(UNIT_MME[family] - plan[:, None]).argmin(axis=1)
    column = np.where(is_patch, nearest, fits.argmax(axis=1))
    unit_mme = UNIT_MME[family, column]
    quantity = np.where(is_patch, 10, np.maximum(np.rint(plan * 28 / unit_mme), 1)).astype(int)
    days = np.where(is_patch, 30, 28)  # 10 patches, 3 days each
    dose = np.where(is_patch, unit_mme, quantity * unit_mme / 28)
    return STRENGTH[family, column], quantity, days, dose
