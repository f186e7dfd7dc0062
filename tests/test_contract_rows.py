"""One contract makes the rows, the table, the casts and the checks: rows made from it fit all of them."""

import csv
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import checks, contracts, extracts, sources, sql_files, warehouse
from pipelines.contracts import Contract
from pipelines.extracts.delivered import delivered_as
from tests.contract_rows import Row, rows
from tests.sql.test_every_file import MAPPINGS

ALL = contracts.all_contracts()
# A FHIR export is JSON lines, which tests/test_ndjson.py loads.
RAW = [contract for contract in ALL.values() if contract.files and contract.schema_name != "raw_fhir"]
FEW = settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def deliver(folder: Path, contract: Contract, made: list[Row]) -> None:
    name = contract.files.split("*")[0].removesuffix(".csv").rstrip(".") + ".csv"
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow([delivered_as(column) for column in contract.columns])
        writer.writerows(
            [["" if row[column.name] is None else row[column.name] for column in contract.columns] for row in made]
        )


@pytest.mark.parametrize("contract", RAW, ids=lambda contract: contract.table)
@FEW
@given(data=st.data())
def test_rows_made_from_a_contract_load_and_none_is_in_quarantine(contract, tmp_path, data):
    made = data.draw(rows(contract))
    deliver(tmp_path, contract, made)
    with duckdb.connect() as connection:
        loaded = extracts.load(connection, contract, contract.schema_name.removeprefix("raw_"), tmp_path)
    assert (loaded.loaded_rows, loaded.quarantined_rows) == (len(made), 0)


def insert(connection: duckdb.DuckDBPyConnection, contract: Contract, made: list[Row]) -> None:
    for number, row in enumerate(made, start=1):
        row = row | ({"source_file": "made", "source_row": number} if contract.is_raw else {})
        marks = ", ".join("?" for _ in row)
        names = ", ".join(f'"{name}"' for name in row)
        connection.execute(f"insert into {contract.table} ({names}) values ({marks})", list(row.values()))


@settings(max_examples=3, deadline=None)
@given(made=rows(ALL["clean.prescription"]))
def test_rows_made_from_a_contract_pass_the_checks_that_it_implies(made):
    contract = ALL["clean.prescription"].model_copy(update={"expectations": []})
    with duckdb.connect() as connection:
        warehouse.create(connection, contract)
        warehouse.create(connection, ALL["clean.quarantine"])
        insert(connection, contract, made)
        assert not [result.check for result in checks.check(connection, contract) if result.is_open]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.table)
@FEW
@given(data=st.data())
def test_a_mapping_keeps_every_row_that_fits_the_contracts_it_reads(mapping, data):
    with duckdb.connect() as connection:
        shared = [sql for sql in sql_files.shared(mapping.path.parent.name) if sql.table in mapping.reads]
        for table in sorted(mapping.reads.union(*(sql.reads for sql in shared)) - {sql.table for sql in shared}):
            warehouse.create(connection, ALL[table])
            if ALL[table].is_raw:
                insert(connection, ALL[table], data.draw(rows(ALL[table], max_size=4)))
        for sql in shared:
            warehouse.build_untyped(connection, sql)
        sources.map_rows(connection, mapping, ALL[f"clean.{mapping.table.split('.')[1]}"])  # proves it
