"""How long all definitions of a daily dose take, from DuckDB table to DuckDB table, beside DuckDB's sort of the rows.

    python -m tests.bench.bench_dose_definitions --rows 10000000

The prescriptions are those of bench_dose_timeline; the timeline is built anew each time and is part of what is timed.
The other way to the same numbers, one row per patient and day, is timed for three of the definitions on a part of the
patients. Sort and definitions take turns; read the ratio rather than the seconds. A sample of patients is compared
with the day-by-day oracle.
"""

import argparse
import resource
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from pipelines import dose_definitions, dose_timeline
from tests.bench.bench_dose_timeline import COLUMNS, FILLS, GENERATE, print_turns, save, seconds, sort_by_duckdb
from tests.oracle import dose_definitions as oracle

WINDOW = (date(2015, 1, 1), date(2017, 12, 31))
RECORD = f"select {COLUMNS}, start_date as fill_date, false as is_open_ended from prescription"

EXPLODE = """
create or replace table exploded as
with
dose_day as (
    select
        patient_index,
        unnest(range(greatest(start_date, $first), least(end_date, $last) + 1, interval 1 day))::date as dose_date,
        dose_micro_mme
    from prescription
    where patient_index < $patients and end_date >= $first and start_date <= $last
),

patient_day as (
    select
        patient_index,
        dose_date,
        (coalesce(sum(dose_micro_mme), 0) + 500) // 1000 as milli_mme,
        bool_or(dose_micro_mme is null) as is_lower_bound
    from dose_day
    group by all
)

select
    patient_index,
    sum(milli_mme) / 1000 / count(*) as dasgupta_2,
    sum(milli_mme) / 1000 / ($last::date - $first::date + 1) as dasgupta_3,
    max(milli_mme) / 1000 as dasgupta_4,
    bool_or(is_lower_bound) as is_lower_bound
from patient_day
group by all
"""


def build_definitions(connection: duckdb.DuckDBPyConnection, patients: int) -> None:
    record = connection.sql(RECORD).pl()
    found = dose_definitions.daily_dose(dose_timeline.dose_period(record), record, WINDOW, patients)
    save(connection, "daily_dose", found)


def explode(connection: duckdb.DuckDBPyConnection, patients: int) -> None:
    first, last = WINDOW
    connection.execute(EXPLODE, {"patients": patients, "first": first, "last": last})


def compare_with_oracle(connection: duckdb.DuckDBPyConnection, patients: int, sample: int) -> int:
    """Compare a spread of patients row by row; returns how many."""
    chosen = range(0, patients, max(1, patients // sample))
    for patient in chosen:
        rows = connection.execute(f"select {COLUMNS} from prescription where patient_index = ?", [patient]).fetchall()
        records = [oracle.Record(0, start, end, start, dose) for _, start, end, dose in rows]
        expected = [(patient, *row[1:]) for row in oracle.rows(records, WINDOW, 1, 0, clips=True)]
        found = connection.execute("from daily_dose where patient_index = ?", [patient]).fetchall()
        if oracle.in_order(found) != expected:
            raise SystemExit("bench_dose_definitions: the definitions differ from the day-by-day oracle.")
    return len(chosen)


def compare_with_explosion(connection: duckdb.DuckDBPyConnection) -> int:
    """Compare three definitions of all patients whose days were exploded; returns how many."""
    names = ["dasgupta_2", "dasgupta_3", "dasgupta_4"]
    found = (
        connection.sql(
            "select patient_index, definition, daily_mme, is_lower_bound from daily_dose "
            "semi join exploded using (patient_index) where definition in (select unnest($names))",
            params={"names": names},
        )
        .pl()
        .pivot("definition", index=["patient_index", "is_lower_bound"], values="daily_mme")
        .join(connection.sql("from exploded").pl(), on=["patient_index", "is_lower_bound"], suffix="_exploded")
    )
    [[patients]] = connection.sql("select count(*) from exploded").fetchall()
    # Rounded to 0.001 here, not there. Where no dose is known there is no number here, and a zero there.
    is_same = pl.all_horizontal(
        ((pl.col(name) - pl.col(f"{name}_exploded")).abs() <= 0.00051).fill_null(pl.col("is_lower_bound"))
        for name in names
    )
    if found.filter(is_same).height != patients:
        raise SystemExit("bench_dose_definitions: the definitions differ from the exploded days.")
    return patients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="prescriptions to generate")
    parser.add_argument("--repeats", type=int, default=3, help="times that sort and definitions take turns")
    parser.add_argument("--sample", type=int, default=100, help="patients to compare with the oracle")
    parser.add_argument("--part", type=int, default=10, help="one patient in so many has the days exploded")
    arguments = parser.parse_args()
    patients = max(1, arguments.rows // FILLS)
    exploded = max(1, patients // arguments.part)

    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder) / "bench.duckdb") as connection:
        connection.execute(f"set threads = {pl.thread_pool_size()}")
        connection.execute(GENERATE, {"rows": arguments.rows, "patients": patients})
        builds: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
            "DuckDB's sort": sort_by_duckdb,
            "all definitions": partial(build_definitions, patients=patients),
        }
        turns = [{name: seconds(build, connection) for name, build in builds.items()} for _ in range(arguments.repeats)]
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        explosion = seconds(partial(explode, patients=exploded), connection)
        compared = compare_with_oracle(connection, patients, arguments.sample)
        equal = compare_with_explosion(connection)
        [[rows]] = connection.sql("select count(*) from daily_dose").fetchall()

    print(
        f"dose definitions: {arguments.rows:,} prescriptions of {patients:,} patients, "
        f"{len(dose_definitions.DEFINITIONS)} definitions, {rows:,} rows"
    )
    print(f"  {'threads':<40} {pl.thread_pool_size()}")
    print_turns(turns)
    print(f"  {'peak memory':<40} {peak_gib:.2f} GiB, the sort's included, the explosion's not")
    print(f"  {'3 definitions by exploded days':<40} {explosion:6.2f} s for 1 patient in {arguments.part}")
    print(f"  {'equal to the oracle':<40} {compared:,} patients")
    print(f"  {'equal to exploded days':<40} {equal:,} patients, 3 definitions")


if __name__ == "__main__":
    main()
