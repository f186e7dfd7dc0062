"""How long ingest takes, from a CSV extract to the raw table, beside a typed read and write by DuckDB alone.

    python -m tests.bench.bench_ingest --rows 10000000

The prescriptions are generated; one in 10,000 is bad. First a bad value, which quarantine takes without a look at
the other lines; then a bad line, for which the file is split around it. Floor and ingest run one after the other,
each in a process of its own for its peak memory, so that a busy machine slows both; read the ratios rather than the
seconds, and where others use the machine that of processor time. Ingest also proves the key unique, which the floor
does not.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb

from pipelines import extracts, warehouse
from pipelines.contracts import Contract

BAD_EVERY = 10_000
TYPES = {
    "prescription_id": "VARCHAR",
    "patient_id": "VARCHAR",
    "drug_text": "VARCHAR",
    "strength": "DOUBLE",
    "strength_unit": "VARCHAR",
    "route_text": "VARCHAR",
    "start_date": "DATE",
    "quantity": "DOUBLE",
    "days_supply": "INTEGER",
}
CONTRACT = Contract.model_validate(
    {
        "table": "raw_bench.prescription",
        "description": "Generated prescriptions.",
        "key": ["prescription_id"],
        "files": "prescription.csv",
        "columns": [
            {"name": name, "type": type_, "description": "Generated.", "minimum": 0 if type_ == "DOUBLE" else None}
            for name, type_ in TYPES.items()
        ],
    }
)
# 900 drug texts, a quarter of them with a comma and so in quotes.
GENERATE = """
copy (
    select
        format('rx{:09d}', i) as prescription_id,
        format('p{:07d}', hash(i, 1) % ($rows // 20 + 1)) as patient_id,
        concat(
            ['oxycodone', 'morphine', 'hydrocodone, acetaminophen', 'tramadol'][(hash(i, 2) % 4)::integer + 1],
            format(' {} MG Oral Tablet', hash(i, 3) % 225)
        ) as drug_text,
        (hash(i, 4) % 40 + 1) * 2.5 as strength,
        'mg' as strength_unit,
        'oral' as route_text,
        date '2015-01-01' + (hash(i, 5) % 3650)::integer as start_date,
        if(i % $bad_every = 0, -1, (hash(i, 6) % 120)::integer + 1) as quantity,
        hash(i, 7) % 30 + 1 as days_supply
    from range($rows) as number (i)
) to '{file}' (header)
"""


def generate(file: Path, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(GENERATE.replace("{file}", str(file)), {"rows": rows, "bad_every": BAD_EVERY})


def break_lines(file: Path) -> None:
    """Turn every bad value into a bad line."""
    content = file.read_bytes()
    file.write_bytes(content.replace(b",-1,", b","))


def floor(folder: Path) -> int:
    with warehouse.opened(folder / "floor.duckdb", readable=[folder]) as connection:
        connection.execute(
            f"create table prescription as from read_csv('{folder / CONTRACT.files}', header = true, columns = {TYPES})"
        )
        return warehouse.count(connection, "prescription")


def ingest(folder: Path) -> int:
    with warehouse.opened(folder / "ingest.duckdb", readable=[folder]) as connection:
        loaded = extracts.load(connection, CONTRACT, "bench", folder)
        assert loaded.quarantined_rows == -(-loaded.delivered_rows // BAD_EVERY)
        return loaded.delivered_rows


def measured(run: Callable[[Path], int], folder: Path) -> tuple[int, float, float, float]:
    """Rows, seconds (the warehouse written and closed), those of processors, and peak memory in GiB."""
    start, processor_start = time.perf_counter(), time.process_time()
    rows = run(folder)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    return rows, seconds, processor_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure_apart(run: Callable[[Path], int], folder: Path) -> tuple[int, float, float, float]:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measured, run, folder).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / str(CONTRACT.files)
        generate(file, rows)
        print(f"{rows:,} prescriptions, {file.stat().st_size / 2**20:,.0f} MiB of CSV, one in {BAD_EVERY:,} bad")
        _, floor_seconds, floor_processor, floor_peak = measure_apart(floor, folder)
        print(f"{'':32} {'wall':>16} {'processors':>18} {'peak':>9}")
        print(
            f"{'typed read and write by DuckDB':32} {floor_seconds:6.1f} s {floor_processor:16.1f} s "
            f"{floor_peak:15.2f} GiB"
        )
        for what in ("a bad value", "a bad line"):
            delivered, seconds, processor, peak = measure_apart(ingest, folder)
            assert delivered == rows
            print(
                f"{'ingest, ' + what:32} {seconds:6.1f} s {seconds / floor_seconds:5.2f} x "
                f"{processor:8.1f} s {processor / floor_processor:5.2f} x {peak:7.2f} GiB"
            )
            (folder / "ingest.duckdb").unlink()
            break_lines(file)


if __name__ == "__main__":
    main()
