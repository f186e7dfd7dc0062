"""Simulated extracts with known truth: what the pipeline is demonstrated, trained and tested on.

Patients are stepped day by day. Dose acts through an effect site on analgesia, tolerance, hyperalgesia
and dependence (``physiology``); felt pain is nociception less analgesia, plus hyperalgesia, plus
withdrawal. Prescribers see only the pain that they record (``clinic``), and the dose that acts is the dose
that the dispensed units add up to (``products``). How fast and how far hyperalgesia goes is assumed.
``tests/bench/calibrate_simulator.py`` holds the output against published cohorts.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import tables
from pipelines.simulator.clinic import Clinic
from pipelines.simulator.people import CLASSES, draw_people
from pipelines.simulator.physiology import TRUTH_DAYS
from pipelines.simulator.world import World, load_world, world_names

__all__ = ["CLASSES", "World", "load_world", "simulate", "world_names", "write"]

BURN_IN_DAYS = 240
BLOCK_PATIENTS = 8192  # so many keep numpy busy; more would save little and need more memory
ROW_LETTERS = {
    "extract/prescription": "R",
    "extract/adjuvant": "A",
    "extract/pain_score": "S",
    "extract/diagnosis": "D",
    "extract/procedure": "Q",
    "extract/encounter": "E",
    "extract/note_mention": "N",
}


def simulate(
    patient_count: int,
    seed: int,
    world: World | None = None,
    on_block: Callable[[int, int], None] | None = None,
    processes: int = 1,
) -> dict[str, pl.DataFrame]:
    """Simulate a health system's extract and the truth behind it.

    The same count, seed and world give the same rows, in however many processes: patients come in blocks, each with
    a generator of its own, so that a whole block is the same in a larger cohort; element-wise float64, and numbers
    written with far fewer digits than they are computed with, so that machines agree too.

    Args:
        patient_count: At least 1.
        seed: Of all random generators.
        world: What differs from the default world.
        on_block: Called with the blocks done and the blocks in all, for a progress bar.
        processes: Blocks simulated side by side. With more than one, the calling script's work must stand under
            ``if __name__ == "__main__"``.

    Returns:
        Tables by file name without its ending: what is delivered under ``extract/``, what was true under ``truth/``.
    """
    firsts = range(0, patient_count, BLOCK_PATIENTS)
    parts = [(number, first, min(BLOCK_PATIENTS, patient_count - first)) for number, first in enumerate(firsts)]
    blocks = []
    for block in _simulated(parts, partial(_simulate_block, seed=seed, world=world or World()), processes):
        blocks.append(block)
        if on_block:
            on_block(len(blocks), len(parts))
    return {name: _joined(name, [block[name] for block in blocks]) for name in blocks[0]}


def write(tables: dict[str, pl.DataFrame], folder: Path) -> None:
    """Write the extract to ``folder/extract`` and, apart from it, the truth to ``folder/truth``, as CSV."""
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S")


Block = dict[str, pl.DataFrame]


def _simulated(
    parts: list[tuple[int, int, int]], simulate_block: Callable[[tuple[int, int, int]], Block], processes: int
) -> Iterator[Block]:
    if min(processes, len(parts)) == 1:
        yield from map(simulate_block, parts)
        return
    # Forking a process that has threads, as polars does, can hang.
    with ProcessPoolExecutor(min(processes, len(parts)), get_context("spawn")) as pool:
        yield from pool.map(simulate_block, parts)


def _simulate_block(part: tuple[int, int, int], seed: int, world: World) -> Block:
    number, first_patient, patient_count = part
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    people_rng, clinic_rng, *table_rng = rng.spawn(8)
    people = draw_people(people_rng, patient_count, world)
    clinic = Clinic(clinic_rng, people, world)
    # The last escalations have their truth days after the record ends.
    for day in range(-BURN_IN_DAYS, world.days + TRUTH_DAYS):
        if 0 <= day < world.days:
            clinic.happen(day)
            clinic.score(day)  # the pain that patients come with, before today's fill
            clinic.prescribe(day)
        clinic.live(day)
    diagnoses, procedures = tables.diagnoses(table_rng[0], clinic), tables.procedures(table_rng[1], clinic)
    block = {
        "extract/patient": tables.patients(table_rng[2], people),
        "extract/prescription": tables.prescriptions(table_rng[3], clinic),
        "extract/adjuvant": tables.adjuvants(clinic),
        "extract/pain_score": tables.pain_scores(table_rng[4], clinic),
        "extract/diagnosis": diagnoses,
        "extract/procedure": procedures,
        "extract/encounter": tables.encounters(clinic, diagnoses, procedures),
        "extract/note_mention": tables.note_mentions(table_rng[5], clinic),
        "truth/patient": tables.true_patients(people),
        "truth/escalation": tables.true_escalations(clinic),
    }
    # Sorted by every column, so that the order of rows tells nothing of how they arose.
    in_cohort = pl.col("patient_id") + first_patient
    return {name: table.with_columns(in_cohort).sort(pl.all()) for name, table in block.items()}


def _joined(name: str, blocks: list[pl.DataFrame]) -> pl.DataFrame:
    """The whole table, its patients as text and its rows numbered."""
    number = (pl.col("patient_id") + 1).cast(pl.String)
    table = pl.concat(blocks).with_columns(patient_id="P" + number.str.zfill(6))
    if name not in ROW_LETTERS:
        return table
    row = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(8)
    return table.select((ROW_LETTERS[name] + row).alias(f"{name.removeprefix('extract/')}_id"), pl.all())
