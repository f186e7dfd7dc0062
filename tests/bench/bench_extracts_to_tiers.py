"""How long simulated patients take from raw extracts to tiers, with two processors, beside what the project promises.

    python -m tests.bench.bench_extracts_to_tiers --patients 100000

First the extract is simulated and written, then every table that ``label.tier`` is built from is built in a new
warehouse; each in a process tree of its own. The project promises at most 2 minutes for the first, and at most 5 minutes
and 4 GiB for the second, of 100,000 patients. Building a table is timed, checking it is not: ``--checks`` also
screens the extract for identifiers and checks every contract, and prints those seconds beside.

The processors are those of the calling process, or two of them. Peak memory is what the resident pages of all processes of
the tree add up to, shared ones counted once; it is sampled, so the largest process's own peak stands beside. Linux only.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import NamedTuple

import polars as pl

from pipelines import checks, identifiers, simulator, tables, warehouse
from pipelines.study import Source, Study

TABLE = "label.tier"
PROCESSORS = 2
SAMPLED_SECONDS = 0.2
SIMULATED_MINUTES, BUILT_MINUTES, BUILT_GIB = 2, 5, 4  # bars for 100,000 patients
STEP = {
    "table": pl.String,
    "build_seconds": pl.Float64,
    "processor_seconds": pl.Float64,  # of building, of both together
    "check_seconds": pl.Float64,
    "rows": pl.Int64,
}
Moment = tuple[float, float]


class Measured(NamedTuple):
    """What a process tree took."""

    steps: pl.DataFrame
    wall_seconds: float
    processor_seconds: float
    peak_gib: float  # of the tree
    largest_gib: float  # of the process itself


def simulated(folder: Path, patients: int, seed: int) -> pl.DataFrame:
    start = _now()
    extract = simulator.simulate(patients, seed, processes=PROCESSORS)
    drawn = _now()
    simulator.write(extract, folder)
    written = _now()
    rows = sum(len(table) for table in extract.values())
    return _steps([("simulate", start, drawn, drawn, rows), ("write CSV", drawn, written, written, rows)])


def built(folder: Path, with_checks: bool) -> pl.DataFrame:
    """Seconds and rows of each table from the raw extract to the tiers."""
    source = {"simulated": Source(folder=folder / "extract")}
    study = Study(name="world", title="World", sources=source, output=folder)
    taken = []
    with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
        if with_checks:
            start = _now()
            identifiers.refuse(identifiers.screen(connection, study))
            taken.append(("screen for identifiers", start, start, _now(), 0))
        for table in tables.needed_for(TABLE, tables.of(study)):
            start = _now()
            rows = table.build(connection, study)
            is_built = _now()
            if with_checks and table.contract:
                checks.check(connection, table.contract)
            taken.append((table.name, start, is_built, _now(), rows))
        start = _now()
    taken.append(("close the warehouse", start, _now(), _now(), 0))
    return _steps(taken)


def _now() -> tuple[float, float]:
    """Seconds of the clock and of this process's processors."""
    return time.perf_counter(), time.process_time()


def _steps(taken: list[tuple[str, Moment, Moment, Moment, int]]) -> pl.DataFrame:
    """A row per step, from when it began, was built and was checked."""
    return pl.DataFrame(
        [
            (name, built[0] - began[0], built[1] - began[1], checked[0] - built[0], rows)
            for name, began, built, checked, rows in taken
        ],
        STEP,
        orient="row",
    )


def measured(run: Callable[[], pl.DataFrame]) -> Measured:
    """Run something in a process of its own and watch what it and its children take."""
    before = _processor_seconds(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with ThreadPoolExecutor(1) as watching, _one_process() as process:
        is_over = Event()
        peak = watching.submit(_peak_gib, process.submit(os.getpid).result(), is_over)
        try:
            steps, largest_gib = process.submit(_run, run).result()
        finally:
            is_over.set()
        wall_seconds = time.perf_counter() - start
    return Measured(
        steps, wall_seconds, _processor_seconds(resource.RUSAGE_CHILDREN) - before, peak.result(), largest_gib
    )


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"))


def _run(run: Callable[[], pl.DataFrame]) -> tuple[pl.DataFrame, float]:
    return run(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _processor_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _peak_gib(process: int, is_over: Event) -> float:
    peak_kib = 0
    while not is_over.wait(SAMPLED_SECONDS):
        peak_kib = max(peak_kib, sum(map(_resident_kib, _tree(process))))
    return peak_kib / 2**20


def _tree(process: int) -> list[int]:
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it ended
        return []
    return [process, *(found for child in children for found in _tree(child))]


def _resident_kib(process: int) -> int:
    """Proportional set size: pages that several processes share are shared out among them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checks", action="store_true", help="also screen for identifiers and check every contract")
    asked = parser.parse_args()
    # Inherited, and what DuckDB, Polars and numpy count their threads by.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])

    with TemporaryDirectory() as name:
        folder = Path(name)
        drawn = measured(partial(simulated, folder, asked.patients, asked.seed))
        done = measured(partial(built, folder, asked.checks))
        extract_gib = sum(file.stat().st_size for file in (folder / "extract").iterdir()) / 2**30
        stored_gib = (folder / "warehouse.duckdb").stat().st_size / 2**30

    print(
        f"{asked.patients:,} simulated patients, seed {asked.seed}, {len(os.sched_getaffinity(0))} processors;", end=" "
    )
    print("bars are for 100,000 patients")
    with pl.Config(tbl_rows=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True, float_precision=2):
        print(done.steps if asked.checks else done.steps.drop("check_seconds"))
    for what, found, bar in (
        ("simulate and write", drawn, f"bar {SIMULATED_MINUTES} min"),
        ("raw extracts to tiers", done, f"bar {BUILT_MINUTES} min, {BUILT_GIB} GiB"),
    ):
        print(
            f"{what:24} {found.wall_seconds / 60:6.2f} min wall, {found.processor_seconds / 60:6.2f} min of processors,",
            end=" ",
        )
        print(f"peak {found.peak_gib:.2f} GiB (largest process {found.largest_gib:.2f}); {bar}")
    tables_built = done.steps["build_seconds"].sum()
    print(
        f"of these: {drawn.steps['build_seconds'][0]:.1f} s to simulate, {drawn.steps['build_seconds'][1]:.1f} s to write;",
        end=" ",
    )
    print(
        f"{tables_built:.1f} s to build, {done.steps['check_seconds'].sum():.1f} s to check; the rest is starting Python"
    )
    print(
        f"extract {extract_gib:.2f} GiB of CSV, {drawn.steps['rows'][0]:,} rows with the truth; warehouse {stored_gib:.2f} GiB"
    )
    slowest = done.steps.sort("build_seconds", descending=True).head(3)
    for table, seconds in slowest.select("table", "build_seconds").iter_rows():
        print(f"  slowest: {table:32} {seconds:6.2f} s, {seconds / tables_built:.0%} of building")


if __name__ == "__main__":
    main()
