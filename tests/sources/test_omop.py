"""The mapping of OMOP, tried on an openly available extract of 28 people."""

import csv
from collections import Counter
from functools import cache

import duckdb
import polars as pl
import pytest

from pipelines import contracts, products, sql_files, warehouse
from tests import omop_demo, source_extract
from tests.omop_demo import EXTRACT

pytestmark = omop_demo.needed

KNOWN = contracts.all_contracts()
MAPPINGS = {sql.table.split(".")[1]: sql for sql in sql_files.mappings("omop")}


@pytest.fixture(scope="module")
def filled():
    return source_extract.filled("omop", EXTRACT)


@cache
def delivered(name):
    """The rows of a delivered file, read by the standard library alone."""
    with (EXTRACT / f"{name.upper()}.csv").open(newline="") as text:
        return list(csv.DictReader(text))


def counts(connection, table, by="excluded_reason", where="true"):
    return dict(connection.execute(f"select {by}, count(*) from {table} where {where} group by all").fetchall())


def one(connection, query):
    [[value]] = connection.execute(query).fetchall()
    return value


def test_every_delivered_row_fits_its_contract(filled):
    rows = filled.execute("select table_name, delivered_rows, loaded_rows from raw.delivery").fetchall()
    assert {name for name, *_ in rows} == {contract.name for contract in contracts.raw_contracts("omop")}
    assert all(in_file == loaded == len(delivered(name)) for name, in_file, loaded in rows)


@pytest.mark.parametrize("table", MAPPINGS)
def test_every_row_of_a_driving_table_is_clean_excluded_or_in_quarantine(filled, table):
    driving = sum(len(delivered(name.split(".")[1])) for name in MAPPINGS[table].driving_tables)
    clean = one(filled, f"select count(*) from clean.{table}")
    excluded = one(filled, f"select count(*) from clean_omop.{table} where excluded_reason is not null")
    assert clean + excluded == driving
    assert one(filled, "select count(*) from clean.quarantine") == 0


def test_patients_have_the_period_in_which_they_were_observed(filled):
    assert one(filled, "select count(*) from clean.patient") == 28
    assert one(filled, "select count(*) from clean.patient where observation_end_date > observation_start_date") == 28
    assert one(filled, "select count(death_date) from clean.patient") == 3
    assert counts(filled, "clean.patient", "sex") == {"female": 13, "male": 15}


# Opioids


def test_59_opioid_exposures_in_8_patients(filled):
    assert counts(filled, "clean_omop.prescription") == {None: 59, "not_an_opioid": 824}
    assert one(filled, "select count(distinct patient_index) from clean.prescription") == 8
    assert counts(filled, "clean.prescription", "record_kind") == {"dispensing": 59}  # pharmacy claims
    assert counts(filled, "clean_omop.administration") == {"not_an_administration": 59, "not_an_opioid": 824}


def test_whole_words_find_the_same_rows_as_the_rxnorm_codes_do(filled):
    """An independent oracle: the RxNorm codes of the opioid products that the extract holds."""
    codes = ["1049625", "993770", "245134", "835603", "1049504", "861467", "856987", "857005"]
    expected = {row["drug_exposure_id"] for row in delivered("drug_exposure") if row["drug_source_value"] in codes}
    found = filled.sql("select prescription_id from clean.prescription").fetchall()
    assert {name.removeprefix("omop:") for (name,) in found} == expected


def test_strength_comes_from_the_name_of_the_concept_where_drug_strength_is_empty(filled):
    assert delivered("drug_strength") == []
    texts = filled.sql("select distinct drug_text from clean.prescription where strength is null").pl()
    read = products.read(texts)
    assert read["reason"].to_list() == [None] * 8
    patch = read.filter(pl.col("ingredient") == "fentanyl")
    assert patch.select("strength", "strength_unit", "route").rows() == [(0.025, "MG/HR", "transdermal")]


def test_quantity_0_and_days_371_are_unknown(filled):
    known = filled.sql("select count(quantity), count(days_supply), max(days_supply) from clean.prescription")
    assert known.fetchall() == [(0, 8, 45)]
    assert counts(filled, "clean.prescription", "dose_unknown_reason") == {
        "days_supply_out_of_range": 40,  # 371 in 35 rows
        "days_supply_not_positive": 11,
        "zero_quantity": 8,
    }
    days = Counter(
        row["days_supply"]
        for row in delivered("drug_exposure")
        if f"omop:{row['drug_exposure_id']}"
        in {name for (name,) in filled.sql("select prescription_id from clean.prescription").fetchall()}
    )
    assert (days["371"], days["0"]) == (35, 11)


def test_adjuvants(filled):
    assert counts(filled, "clean_omop.adjuvant") == {None: 75, "opioid_product": 59, "not_an_adjuvant": 749}


# Pain


def test_471_pain_measurements_in_28_patients(filled):
    measured = "instrument = 'NRS' and source_table = 'measurement'"
    assert one(filled, f"select count(score) from clean.pain_score where {measured}") == 471
    assert one(filled, f"select count(distinct patient_index) from clean.pain_score where {measured}") == 28
    assert counts(filled, "clean.pain_score", "setting", measured) == {
        "outpatient": 467,
        "inpatient": 3,
        "emergency": 1,
    }
    rows = [row["value_as_number"] for row in delivered("measurement") if row["measurement_source_value"] == "72514-3"]
    found = filled.sql(f"select score from clean.pain_score where {measured}").fetchall()
    assert Counter(score for (score,) in found) == Counter(map(float, rows))


def test_items_of_the_peg_stand_apart_and_a_pain_item_without_a_scale_is_left_out(filled):
    assert counts(filled, "clean.pain_score", "instrument", "recall = 'average'") == {
        "PEG_PAIN": 11,
        "PEG_ENJOYMENT": 11,
        "PEG_ACTIVITY": 11,
    }
    left_out = filled.sql(
        "select count(*) from clean_omop.pain_score as score inner join raw_omop.observation as delivered "
        "on score.source_table = 'observation' and score.source_row = delivered.source_row "
        "where delivered.observation_source_value = '38208-5' and score.excluded_reason = 'not_on_a_pain_scale'"
    )
    assert left_out.fetchall() == [(38,)]


def test_every_scale_is_in_the_registry(filled):
    warehouse.build_reference(filled, KNOWN["reference.pain_scale"])
    assert filled.sql("from reference.pain_item anti join reference.pain_scale using (instrument)").fetchall() == []


# Codes


def test_diagnoses_are_in_snomed_alone_and_the_run_warns_that_exclusions_are_not_seen(filled):
    assert counts(filled, "clean.diagnosis", "code_system") == {"SNOMED": 470}
    [warning] = [e for e in KNOWN["episode.cohort"].expectations if e.type == "unexpected_rows_expectation"]
    assert warning.severity == "warning"
    warehouse.build_reference(filled, KNOWN["reference.code_list"])
    filled.execute("create schema if not exists episode")
    filled.execute("create or replace table episode.cohort as select patient_index from clean.patient")
    query = warning.model_dump()["unexpected_rows_query"].format(batch="episode.cohort")
    assert len(filled.execute(query).fetchall()) == 26
    filled.execute("update clean.diagnosis set code_system = 'ICD10CM' where patient_index = 0")
    assert len(filled.execute(query).fetchall()) == 25


def test_of_1649_procedures_12_are_operations(filled):
    assert counts(filled, "clean_omop.procedure") == {None: 1649}
    warehouse.build_reference(filled, KNOWN["reference.surgery_code"])
    operations = """
        from clean.procedure
        semi join reference.surgery_code as surgery
            on procedure.code_system = surgery.code_system and regexp_full_match(procedure.code, surgery.code_pattern)
    """
    assert len(filled.sql(operations).fetchall()) == 12


def test_1791_visits_by_setting(filled):
    assert counts(filled, "clean.encounter", "setting") == {"outpatient": 1722, "emergency": 56, "inpatient": 13}
    delivered_days = sorted((row["visit_start_date"], row["visit_end_date"]) for row in delivered("visit_occurrence"))
    days = "select start_date::varchar, end_date::varchar from clean.encounter order by all"
    assert filled.sql(days).fetchall() == delivered_days


# Other ways to deliver the same


@pytest.fixture(params=["parquet", "duckdb"])
def delivered_otherwise(request, tmp_path):
    if request.param == "parquet":
        for path in EXTRACT.glob("*.csv"):
            pl.read_csv(path, infer_schema=False).write_parquet(tmp_path / f"{path.stem.lower()}.parquet")
        return tmp_path
    database = tmp_path / "cdm.duckdb"
    with duckdb.connect(str(database)) as connection:
        for path in EXTRACT.glob("*.csv"):
            connection.execute(f"create table {path.stem} as from read_csv('{path}', all_varchar = true)")
    return database


def test_parquet_files_and_a_duckdb_database_give_the_same_clean_rows(filled, delivered_otherwise):
    again = source_extract.filled("omop", delivered_otherwise)
    for table in ("patient", "prescription", "adjuvant", "pain_score", "procedure"):
        key = KNOWN[f"clean.{table}"].key[0]
        query = f"select * exclude (source_file, source_row) from clean.{table} order by {key}"
        assert again.sql(query).fetchall() == filled.sql(query).fetchall()
