"""Simulated extracts with known truth: what the pipeline is demonstrated, trained and tested on.

Patients are stepped day by day. Dose acts through an effect site on analgesia, tolerance, hyperalgesia
and dependence (``physiology``); felt pain is nociception less analgesia, plus hyperalgesia, plus
withdrawal. Prescribers see only the pain that they record (``clinic``), and the dose that acts is the dose
that the dispensed units add up to (``products``). How fast and how far hyperalgesia goes is assumed.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import tables
from pipelines.simulator.clinic import Clinic
from pipelines.simulator.people import CLASSES, World, draw_people
from pipelines.simulator.physiology import TRUTH_DAYS

__all__ = ["CLASSES", "World", "simulate", "write"]

BURN_IN_DAYS = 240


def simulate(
    patient_count: int,
    seed: int,
    world: World | None = None,
    on_day: Callable[[int, int], None] | None = None,
) -> dict[str, pl.DataFrame]:
    """Simulate a health system's extract and the truth behind it.

    The same count, seed and world give the same rows: one generator, element-wise float64, and numbers
    written with far fewer digits than they are computed with, so that machines agree too.

    Args:
        patient_count: At least 1.
        seed: Of the one random generator.
        world: What differs from the default world.
        on_day: Called with the days done and the days in all, for a progress bar.

    Returns:
        Tables by file name without its ending: ``extract/patient``, ``extract/prescription``,
        ``extract/pain_score``, ``extract/diagnosis``, ``extract/procedure``, ``truth/patient`` and
        ``truth/escalation``.
    """
    world = world or World()
    rng = np.random.default_rng(seed)
    people = draw_people(rng, patient_count, world)
    clinic = Clinic(rng, people, world)
    # The last escalations have their truth days after the record ends.
    span = range(-BURN_IN_DAYS, world.days + TRUTH_DAYS)
    for done, day in enumerate(span, start=1):
        if 0 <= day < world.days:
            clinic.hurt(day)
            clinic.score(day)  # the pain that patients come with, before today's fill
            clinic.prescribe(day)
        clinic.live(day)
        if on_day:
            on_day(done, len(span))
    return {
        "extract/patient": tables.patients(rng, people),
        "extract/prescription": tables.prescriptions(rng, clinic),
        "extract/pain_score": tables.pain_scores(rng, clinic),
        "extract/diagnosis": tables.diagnoses(rng, clinic),
        "extract/procedure": tables.procedures(rng, clinic),
        "truth/patient": tables.true_patients(people),
        "truth/escalation": tables.true_escalations(clinic),
    }


def write(tables: dict[str, pl.DataFrame], folder: Path) -> None:
    """Write the extract to ``folder/extract`` and, apart from it, the truth to ``folder/truth``, as CSV."""
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S")
