"""How long the checks of a contract take, pushed down by Great Expectations, beside SQL written by hand.

    python -m tests.bench.bench_checks --rows 5000000

The prescriptions are generated; one in 10,000 breaks each rule. Both count the same failing rows of the same rules,
which is compared. They run one after the other, each in a process of its own for its peak memory, so that a busy
machine slows both; read the ratios rather than the seconds, that of processor time where others use the machine. Loading Great Expectations takes seconds once in a run,
whatever the number of tables and rows, so it is told apart.
"""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from pipelines import checks, contracts, warehouse
from pipelines.warehouse import Connection

TABLE = "clean.prescription"
BAD_EVERY = 10_000
ROUNDS = 3
GENERATE = f"""
insert into {TABLE} by name
select
    format('simulated-{{:09d}}', if(i % $bad_every = 1, i - 1, i)) as prescription_id,
    (hash(i, 1) % ($rows // 20 + 1))::integer as patient_index,
    if(i % $bad_every = 2, null, 'simulated') as source,
    if(i % $bad_every = 3, 'refill', if(i % 2 = 0, 'order', 'dispensing')) as record_kind,
    format('oxycodone {{}} MG Oral Tablet', hash(i, 3) % 225) as drug_text,
    if(i % $bad_every = 4, -1, (hash(i, 4) % 40 + 1) * 2.5) as strength,
    'mg' as strength_unit,
    'oral' as route_text,
    date '2015-01-01' + (hash(i, 5) % 3650)::integer as start_date,
    (hash(i, 6) % 120)::integer + 1 as quantity,
    if(i % $bad_every = 5, 400, if(i % 7 = 0, null, hash(i, 7) % 30 + 1)) as days_supply,
    'prescription' as source_table,
    'prescription.csv' as source_file,
    i + 1 as source_row
from range($rows) as number (i)
"""
# As an analyst would write it: one pass over the table for everything that a row shows by itself, one for the key.
BY_HAND = f"""
select
    count(*) filter (where prescription_id is null),
    count(*) filter (where patient_index is null),
    count(*) filter (where patient_index < 0),
    count(*) filter (where source is null),
    count(*) filter (where record_kind is null),
    count(*) filter (where record_kind not in ('dispensing', 'order')),
    count(*) filter (where drug_text is null),
    count(*) filter (where strength < 0),
    count(*) filter (where start_date is null),
    count(*) filter (where quantity < 0),
    count(*) filter (where days_supply < 0),
    count(*) filter (where dose_low < 0),
    count(*) filter (where dose_high < 0),
    count(*) filter (where doses_per_day < 0),
    count(*) filter (where source_table is null),
    count(*) filter (where source_file is null),
    count(*) filter (where source_row is null),
    count(*) filter (where source_row < 1),
    count(*) filter (where days_supply not between 1 and 180),
    (
        select coalesce(sum(copies), 0)
        from (select count(*) as copies from {TABLE} group by prescription_id having count(*) > 1)
    ),
    (select count(*) from clean.quarantine where table_name = 'prescription')
from {TABLE}
"""
NAMES = [
    "prescription_id_not_null",
    "patient_index_not_null",
    "patient_index_between",
    "source_not_null",
    "record_kind_not_null",
    "record_kind_in_set",
    "drug_text_not_null",
    "strength_between",
    "start_date_not_null",
    "quantity_between",
    "days_supply_between",
    "dose_low_between",
    "dose_high_between",
    "doses_per_day_between",
    "source_table_not_null",
    "source_file_not_null",
    "source_row_not_null",
    "source_row_between",
    "days_supply_between_2",
    "key_unique",
    "rejected_rows_are_in_quarantine_with_the_rule",
]
Counts = dict[str, int | None]


def generate(file: Path, rows: int) -> None:
    known = contracts.all_contracts()
    with warehouse.opened(file) as connection:
        for table in (TABLE, "clean.quarantine"):
            warehouse.create(connection, known[table])
        connection.execute(GENERATE, {"rows": rows, "bad_every": BAD_EVERY})


def by_hand(connection: Connection) -> Counts:
    [counts] = connection.execute(BY_HAND).fetchall()
    return dict(zip(NAMES, counts, strict=True))


def by_contract(connection: Connection) -> Counts:
    found = checks.check(connection, contracts.all_contracts()[TABLE])
    assert not [result.check for result in found if result.status == "error"]
    return {result.check: result.failing_rows for result in found}


def measured(what: str, file: Path) -> tuple[Counts, float, float, float, float]:
    """Counts, seconds to load what it needs, to count, and of the processors meanwhile, and peak memory in GiB."""
    start = time.perf_counter()
    if what == "by contract":
        with warehouse.opened(file.with_name("empty.duckdb")) as connection:
            warehouse.create(connection, contracts.all_contracts()["clean.quarantine"])
            checks.check(connection, contracts.all_contracts()["clean.quarantine"])
    loaded, loaded_cpu = time.perf_counter(), time.process_time()
    with warehouse.opened(file) as connection:
        counts = (by_contract if what == "by contract" else by_hand)(connection)
    counted, counted_cpu = time.perf_counter(), time.process_time()
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 2**20
    return counts, loaded - start, counted - loaded, counted_cpu - loaded_cpu, peak


def measure_apart(what: str, file: Path) -> tuple[Counts, float, float, float, float]:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measured, what, file).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.duckdb"
        generate(file, rows)
        print(f"{rows:,} prescriptions, {len(NAMES)} rules, one row in {BAD_EVERY:,} breaks each of five")
        for _ in range(ROUNDS):
            expected, _, by_hand_seconds, by_hand_cpu, peak = measure_apart("by hand", file)
            print(
                f"{'SQL by hand':26} {by_hand_seconds:6.2f} s         {by_hand_cpu:6.2f} s cpu         {peak:5.2f} GiB"
            )
            counts, load_seconds, seconds, cpu, peak = measure_apart("by contract", file)
            print(
                f"{'checks of the contract':26} {seconds:6.2f} s {seconds / by_hand_seconds:5.2f} x "
                f"{cpu:6.2f} s cpu {cpu / by_hand_cpu:5.2f} x {peak:5.2f} GiB"
            )
            print(f"{'  and to load what checks':26} {load_seconds:6.2f} s")
            differing = {name for name, count in expected.items() if counts[name] != count}
            assert not differing, f"counted differently: {differing}"


if __name__ == "__main__":
    main()
