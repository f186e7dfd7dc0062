"""How long the dose timeline takes, from a DuckDB table to a DuckDB table, beside DuckDB's sort of the same rows.

    python -m tests.bench.bench_dose_timeline --rows 10000000

The prescriptions are generated: twenty per patient of two opioids, most refilled early, some late, doses that
change now and then, one in 64 unknown, in no order. Sort and timeline take turns, so that a busy machine slows
both; read the ratio rather than the seconds. So do timelines whose supplies are carried forward first. A sample of
patients is compared with the day-by-day oracle.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from pipelines import dose_timeline, overlap
from pipelines.overlap import Overlap
from tests.oracle import daily_dose as oracle
from tests.oracle import overlap as overlap_oracle

FILLS = 20  # per patient
COLUMNS = "patient_index, start_date, end_date, dose_micro_mme"
SUPPLY = f"{COLUMNS}, days_supply, drug_number, ingredient_number"
CARRY_FORWARD: tuple[Overlap, ...] = ("carry_forward_same_drug", "carry_forward_same_ingredient")

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
    end_date - start_date + 1 as days_supply,
    opioid::integer as ingredient_number,
    (opioid * 64 + strength)::integer as drug_number,
    case when strength > 0 then (ceil(strength / 8) * if(opioid = 0, 30e6, 10e6 / 3))::bigint end as dose_micro_mme
from drawn
"""


def sort_by_duckdb(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"create or replace table sorted as select {COLUMNS} from prescription order by patient_index, start_date"
    )


def build_timeline(connection: duckdb.DuckDBPyConnection) -> None:
    period = dose_timeline.dose_period(connection.sql(f"select {COLUMNS} from prescription").pl())
    save(connection, "dose_period", period)


def build_carried_timeline(connection: duckdb.DuckDBPyConnection, policy: Overlap) -> None:
    record = overlap.overlapped(connection.sql(f"select {SUPPLY} from prescription").pl(), policy)
    save(connection, policy, dose_timeline.dose_period(record))


def build_carried(connection: duckdb.DuckDBPyConnection, policy: Overlap) -> None:
    record = overlap.overlapped(connection.sql(f"select {SUPPLY} from prescription").pl(), policy)
    save(connection, f"{policy}_record", record.select(COLUMNS.split(", ")))


def save(connection: duckdb.DuckDBPyConnection, table: str, rows: pl.DataFrame) -> None:
    connection.register("rows_to_save", rows)
    connection.execute(f"create or replace table {table} as from rows_to_save")
    connection.unregister("rows_to_save")


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
    supplies = connection.sql(
        """
        select patient_index, start_date, end_date, days_supply, drug_number, ingredient_number, dose_micro_mme
        from prescription semi join chosen using (patient_index)
        """
    ).fetchall()
    for policy in CARRY_FORWARD:
        rows = connection.sql(
            f"from {policy} semi join chosen using (patient_index) order by patient_index, start_date"
        )
        if rows.fetchall() != carried_by_oracle(supplies, policy):
            raise SystemExit(f"bench_dose_timeline: {policy} differs from the oracle.")
    return chosen.height


def carried_by_oracle(supplies: list[tuple], policy: str) -> list[tuple]:
    own = defaultdict(list)
    for supply in supplies:
        own[supply[0]].append(overlap_oracle.Supply(*supply))
    return oracle.dose_period(
        oracle.daily_dose(
            (supply.patient_index, min(days), max(days), supply.dose_micro_mme)
            for rows in own.values()
            for supply, days in zip(rows, overlap_oracle.taken(rows, policy, cap_days=15), strict=True)
        )
    )


def print_turns(turns: list[dict[str, float]]) -> None:
    """Median, least and most seconds of each build, and how many times the first of its turn it took."""
    floor, *builds = turns[0]
    for name in (floor, *builds):
        numbers = [turn[name] for turn in turns]
        line = f"  {name:<40} {statistics.median(numbers):6.2f} s ({min(numbers):.2f} to {max(numbers):.2f})"
        if name != floor:
            ratios = [turn[name] / turn[floor] for turn in turns]
            line += f", {statistics.median(ratios):.2f} times the sort ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line)


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
        builds: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
            "DuckDB's sort": sort_by_duckdb,
            "timeline": build_timeline,
        }
        for policy in CARRY_FORWARD:
            builds[policy] = partial(build_carried, policy=policy)
            builds[f"{policy}, timeline"] = partial(build_carried_timeline, policy=policy)
        turns = [{name: seconds(build, connection) for name, build in builds.items()} for _ in range(arguments.repeats)]
        compared = compare_with_oracle(connection, patients, arguments.sample)
        [[periods]] = connection.sql("select count(*) from dose_period").fetchall()

    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"dose timeline: {arguments.rows:,} prescriptions of {patients:,} patients, {periods:,} periods")
    print(f"  {'threads':<40} {pl.thread_pool_size()}")
    print_turns(turns)
    print(f"  {'peak memory':<40} {peak_gib:.2f} GiB, the sort's included")
    print(f"  {'equal to the oracle':<40} {compared:,} patients")


if __name__ == "__main__":
    main()
