"""How long pain by week and by window takes, from scores in DuckDB, beside DuckDB's sort of the same rows.

    python -m tests.bench.bench_windows --scores 30000000

The scores are generated: sixty per patient over three years, one in five on the day of another, one in twenty unknown,
one in ten from a hospital, in no order. The floor sorts them by patient and day into a table. The project's own SQL then builds
``trajectory.pain_day`` and from it ``trajectory.pain_week`` (the medians; at most 4 times the floor is promised), and
``episode.window_pain`` from days and windows (at most 2 times), of as many index dates as simulated patients have: one
escalation to four patients, and with the sham dates 2.3 to each. All take turns in one run with the same
threads; the least seconds of the turns count.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipelines import contracts, sql_files, warehouse
from pipelines.study import Source, Study
from pipelines.warehouse import Connection

SCORES = 60  # per patient
EPISODES = {"escalations alone": 0.25, "with sham dates": 2.3}  # per patient
MEDIAN_BAR, WINDOW_BAR = 4, 2
CONTRACTS = contracts.all_contracts()

# Multiplying by a prime deals the rows out in no order; hash() draws the same on every machine and thread count.
GENERATE = {
    "trajectory.pain_reading": """
        with dealt as (
            select
                i * 2654435761 % $rows as row_number,
                row_number % $patients as patient_index,
                row_number // $patients as number
            from range($rows) as number (i)
        )
        select
            patient_index::integer as patient_index,
            timestamp '2021-01-01 09:00' + to_days((hash(patient_index, number - (number % 5 = 4)::integer) % 1095)::integer)
                + to_seconds((hash(row_number, 1) % 30000)::integer) as scored_at,
            if(hash(row_number, 2) % 10 = 0, 'inpatient', 'outpatient') as setting,
            if(hash(row_number, 3) % 20 = 0, null, (hash(row_number, 4) % 21)::integer / 2) as pain_nrs,
            true as is_counted
        from dealt
    """,
    "trajectory.acute_event": """
        select
            i::integer as patient_index,
            'surgery' as kind,
            date '2021-01-01' + (hash(i, 5) % 1095)::integer as event_date
        from range($patients // 8) as number (i)
    """,
    "trajectory.inpatient_stay": """
        select
            i::integer as patient_index,
            'inpatient' as setting,
            date '2021-01-01' + (hash(i, 7) % 1095)::integer as start_date,
            start_date + 4 as end_date
        from range($patients // 8) as number (i)
    """,
    "episode.episode": """
        select
            concat(i, 'e') as episode_id,
            (i % $patients)::integer as patient_index,
            date '2021-12-01' + (hash(i, 6) % 700)::integer as index_date,
            180 as follow_up_days
        from range($episodes) as number (i)
    """,
}


def generate(connection: Connection, table: str, **numbers: int) -> None:
    warehouse.create(connection, CONTRACTS[table])
    used = {name: number for name, number in numbers.items() if f"${name}" in GENERATE[table]}
    connection.execute(f"insert into {table} by name {GENERATE[table]}", used)


def sort_by_duckdb(connection: Connection) -> None:
    connection.execute(
        """
        create or replace table sorted as
        select patient_index, scored_at::date as score_date, setting, pain_nrs
        from trajectory.pain_reading
        order by patient_index, score_date
        """
    )


def build(connection: Connection, study: Study, *names: str) -> None:
    sql = {sql.table: sql for sql in sql_files.tables()}
    for name in names:
        warehouse.build_from_sql(connection, sql[name], CONTRACTS[name], study.parameters)


def least_seconds(builds: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Least seconds of each, taking turns."""
    turns: dict[str, list[float]] = {name: [] for name in builds}
    for _ in range(repeats):
        for name, run in builds.items():
            start = time.perf_counter()
            run()
            turns[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in turns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=int, default=30_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    patients = max(1, asked.scores // SCORES)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = Study(name="bench", title="Bench", sources={"simulated": Source(folder=folder)}, output=folder)
        with warehouse.opened(folder / "bench.duckdb", memory_limit=study.memory_limit) as connection:
            [[threads]] = connection.sql("select current_setting('threads')").fetchall()
            generate(connection, "trajectory.pain_reading", rows=asked.scores, patients=patients)
            for table in ("trajectory.acute_event", "trajectory.inpatient_stay"):
                generate(connection, table, patients=patients)
            floor = {"DuckDB's sort": partial(sort_by_duckdb, connection)}
            medians = {
                "medians by day": partial(build, connection, study, "trajectory.pain_day"),
                "medians by week": partial(build, connection, study, "trajectory.pain_week"),
            }
            print(
                f"{asked.scores:,} scores of {patients:,} patients, {threads} threads, least of {asked.repeats} turns"
            )
            found = least_seconds(floor | medians, asked.repeats)
            tell(found | {"medians by day and week": sum(found[median] for median in medians)}, MEDIAN_BAR)
            for what, per_patient in EPISODES.items():
                generate(connection, "episode.episode", episodes=round(patients * per_patient), patients=patients)
                build(connection, study, "episode.episode_window")
                windows = {f"windows, {what}": partial(build, connection, study, "episode.window_pain")}
                tell(least_seconds(floor | windows, asked.repeats), WINDOW_BAR)
    print(f"  {'peak memory':36} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:6.2f} GiB")


def tell(found: dict[str, float], bar: int) -> None:
    floor, *builds = found
    print(f"  {floor:36} {found[floor]:6.2f} s")
    for name in builds:
        print(f"  {name:36} {found[name]:6.2f} s, {found[name] / found[floor]:5.2f} times the sort (bar {bar})")


if __name__ == "__main__":
    main()
