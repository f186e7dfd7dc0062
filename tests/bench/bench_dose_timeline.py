"""How long the dose timeline takes, from a DuckDB table to a DuckDB table, beside DuckDB's sort of the same rows.

    python -m tests.bench.bench_dose_timeline --rows 10000000

The prescriptions are generated: twenty per patient of two opioids, most refilled early, some late, doses that
change now and then, one in 64 unknown, in no order. Sort and timeline take turns, so that a busy machine slows
both; read the ratio rather than the seconds. A sample of patients is compared with the day-by-day oracle.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl

from pipelines import dose_timeline
from tests.oracle import daily_dose as oracle

FILLS = 20  # per patient
COLUMNS = "patient_index, start_date, end_date, dose_micro_mme"

GENERATE = """
create table prescription as
with
-- Multiplying by a prime deals the rows out in no order; hash() draws the same on every machine and thread count.
dealt as (
    select
        i * 2654435761 % $rows as row_number,
        row_number % $patients as patient_index,
        row_number // $patients as fill,
        fill % 2 as opioid
    from range($rows) as number (i)
),

drawn as (
    select
        *,
        (hash(patient_index, 1) % 720)::integer as first_day,
        (hash(row_number, 2) % 9)::integer - 5 as late_days,
        (hash(row_number, 3) % 8)::integer as supply,
        (hash(patient_index, opioid, fill // 6, 4) % 64)::integer as strength
    from dealt
)

select
    patient_index::integer as patient_index,
    date '2015-01-01' + first_day + (fill // 2 * 29)::integer + late_days as start_date,
    start_date + [6, 13, 27, 27, 29, 29, 29, 89][supply + 1] as end_date,
    case when strength > 0 then (ceil(strength / 8) * if(opioid = 0, 30e6, 10e6 / 3))::bigint end as dose_micro_mme
from drawn
"""


def sort_by_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"create or replace table sorted as select {COLUMNS} from prescription order by patient_index, start_date"
    )


def build_timeline(connection: duckdb.DuckDBPyConnection) -> None:
    period = dose_timeline.dose_period(connection.sql(f"select {COLUMNS} from prescription").pl())
    connection.register("period", period)
    connection.execute("create or replace table dose_period as from period")
    connection.unregister("period")


def seconds(build: Callable[[duckdb.DuckDBPyConnection], None], connection: duckdb.DuckDBPyConnection) -> float:
    start = time.perf_counter()
    build(connection)
    return time.perf_counter() - start


def compare_with_oracle(connection: duckdb.DuckDBPyConnection, patients: int, sample: int) -> int:
    """Compare a spread of patients row by row; returns how many."""
    chosen = pl.DataFrame({"patient_index": range(0, patients, max(1, patients // sample))})
    connection.register("chosen", chosen)
    records = connection.sql(f"select {COLUMNS} from prescription semi join chosen using (patient_index)").fetchall()
    found = connection.sql(
        "from dose_period semi join chosen using (patient_index) order by patient_index, start_date"
    ).fetchall()
    if found != oracle.dose_period(oracle.daily_dose(records)):
        raise SystemExit("bench_dose_timeline: the timeline differs from the day-by-day oracle.")
    return chosen.height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="prescriptions to generate")
    parser.add_argument("--repeats", type=int, default=5, help="times that sort and timeline take turns")
    parser.add_argument("--sample", type=int, default=500, help="patients to compare with the oracle")
    arguments = parser.parse_args()
    patients = max(1, arguments.rows // FILLS)

    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder) / "bench.duckdb") as connection:
        connection.execute(f"set threads = {pl.thread_pool_size()}")
        connection.execute(GENERATE, {"rows": arguments.rows, "patients": patients})
        turns = [
            (seconds(sort_by_duckdb, connection), seconds(build_timeline, connection)) for _ in range(arguments.repeats)
        ]
        compared = compare_with_oracle(connection, patients, arguments.sample)
        [[periods]] = connection.sql("select count(*) from dose_period").fetchall()

    sorts, timelines = zip(*turns, strict=True)
    ratios = [timeline / sort for sort, timeline in turns]
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"dose timeline: {arguments.rows:,} prescriptions of {patients:,} patients, {periods:,} periods")
    print(f"  threads              {pl.thread_pool_size()}")
    for name, numbers in (("DuckDB's sort", sorts), ("timeline", timelines), ("ratio", ratios)):
        unit = "" if name == "ratio" else " s"
        median, low, high = statistics.median(numbers), min(numbers), max(numbers)
        print(f"  {name:<20} {median:.2f}{unit} (median of {len(numbers)}; {low:.2f} to {high:.2f})")
    print(f"  peak memory          {peak_gib:.2f} GiB, the sort's included")
    print(f"  equal to the oracle  {compared:,} patients")


if __name__ == "__main__":
    main()
