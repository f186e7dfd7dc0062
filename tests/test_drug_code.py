"""Drug codes of prescriptions: what the study's own table says of them, and that their texts are read."""

import duckdb
import polars as pl
import pytest

from pipelines import contracts, sources, trajectory, warehouse
from pipelines.study import Study
from tests.conftest import draw

PRESCRIPTIONS = """
    prescription_id | drug_text         | ndc
    ----------------+-------------------+--------------
    1               | OXYCODONE         | 1234-5678-90
    2               | OXYCODONE         | 01234567890
    3               | OXYCODONE         | 1234567890
    4               | OXYCODONE         | x
    5               | OXYCODONE         | 54017613
    6               | MORPHINE 5 MG TAB |
    7               | MORPHINE 5 MG TAB | x
"""
TABLE = "ndc,drug_text\n01234-5678-90,OXYCODONE HCL 5 MG TABLET\n99999-9999-99,TRAMADOL 50 MG TABLET\n"


def study(**changes) -> Study:
    content = {"name": "s", "title": "S", "sources": {"simulated": {"folder": "x"}}, "output": "out"}
    return Study.model_validate(content | changes)


@pytest.fixture
def warehouse_of_codes():
    connection = duckdb.connect()
    draw(connection, "clean.prescription", PRESCRIPTIONS)
    draw(connection, "clean.administration")
    for table in ("label_strength", "opioid_name"):
        warehouse.build_reference(connection, contracts.all_contracts()[f"reference.{table}"])
    return connection


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "ndc.csv"
    file.write_text(TABLE)
    return file


def test_each_delivered_code_has_one_row_with_its_text_or_the_reason_why_not(warehouse_of_codes, table):
    rows = trajectory.build_drug_code(warehouse_of_codes, study(ndc_table=table))
    assert rows.sort("ndc").rows() == [
        ("01234567890", "01234567890", None, "OXYCODONE HCL 5 MG TABLET"),
        ("1234-5678-90", "01234567890", None, "OXYCODONE HCL 5 MG TABLET"),
        ("1234567890", None, "ambiguous_ndc", None),
        ("54017613", "00054017613", "ndc_not_in_table", None),
        ("x", None, "not_an_ndc", None),
    ]


@pytest.mark.parametrize("has_table", [True, False])
def test_the_table_of_codes_is_there_for_the_mappings_and_empty_without_one(warehouse_of_codes, table, has_table):
    contract = contracts.all_contracts()["reference.ndc_text"]
    rows = sources.build_ndc_text(warehouse_of_codes, study(ndc_table=table if has_table else None))
    warehouse.build_from_frame(warehouse_of_codes, rows, contract)
    texts = warehouse_of_codes.sql("select drug_text from reference.ndc_text where ndc = '1234-5678-90'").fetchall()
    assert texts == ([("OXYCODONE HCL 5 MG TABLET",)] if has_table else [])


def test_without_a_table_no_code_has_a_text(warehouse_of_codes):
    rows = trajectory.build_drug_code(warehouse_of_codes, study())
    assert rows["drug_text"].null_count() == len(rows) == 5
    assert rows["reason"].null_count() == 0


def test_the_texts_of_codes_are_read_beside_those_of_records(warehouse_of_codes, table):
    contract = contracts.all_contracts()["trajectory.drug_code"]
    codes = trajectory.build_drug_code(warehouse_of_codes, study(ndc_table=table))
    assert warehouse.build_from_frame(warehouse_of_codes, codes, contract) == 5
    rows = trajectory.build_drug_product(warehouse_of_codes, study())
    assert rows.filter(pl.col("strength").is_not_null()).select("drug_text", "strength").rows() == [
        ("MORPHINE 5 MG TAB", 5.0),
        ("OXYCODONE HCL 5 MG TABLET", 5.0),
    ]
    assert len(rows) == 3


def test_the_fingerprint_of_a_study_is_of_the_content_of_its_table_of_codes(table, tmp_path):
    moved = tmp_path / "moved.csv"
    moved.write_text(TABLE)
    assert study(ndc_table=table).fingerprint == study(ndc_table=moved).fingerprint != study().fingerprint
    moved.write_text(TABLE.replace("5 MG", "10 MG"))
    assert study(ndc_table=table).fingerprint != study(ndc_table=moved).fingerprint
