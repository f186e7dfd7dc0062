"""An extract comes to the same rows in whatever format it is delivered."""

from pathlib import Path

import duckdb
import polars as pl
import pyreadstat
import pytest

from pipelines import contracts, extracts

CONTRACTS = contracts.raw_contracts("simulated")


def loaded(extract: Path) -> dict[str, list[tuple]]:
    with duckdb.connect() as connection:
        for contract in CONTRACTS:
            extracts.load(connection, contract, "simulated", extract)
        tables = [contract.table for contract in CONTRACTS] + ["raw.quarantine"]
        rows = {table: f"select * exclude (source_file) from {table} order by source_row" for table in tables}
        return {table: connection.execute(query).fetchall() for table, query in rows.items()}


def as_database(extract: Path) -> Path:
    path = extract.with_name("cdm.duckdb")
    with duckdb.connect(str(path)) as database:
        for file in extract.glob("*.csv"):
            database.execute(f"create table {file.stem.upper()} as from read_csv('{file}')")
    return path


WRITERS = {
    "parquet": lambda rows, file: rows.write_parquet(file),
    "dta": pyreadstat.write_dta,
    "sav": pyreadstat.write_sav,
    "zsav": lambda rows, file: pyreadstat.write_sav(rows, file, compress=True),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_files_of_another_format_come_to_the_same_rows(extract, ending):
    delivered = loaded(extract)
    for file in extract.glob("*.csv"):
        WRITERS[ending](pl.read_csv(file, try_parse_dates=True), file.with_suffix(f".{ending}"))
        file.unlink()
    assert loaded(extract) == delivered


def test_a_database_comes_to_the_same_rows(extract):
    assert loaded(as_database(extract)) == loaded(extract)
