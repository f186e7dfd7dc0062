"""What the files of sql/1_reference/macros say, and what a file that calls one is known to read."""

from dataclasses import replace

import duckdb
import pytest

from pipelines import sql_files, warehouse
from pipelines.errors import SqlFileError
from tests.conftest import CONTRACTS, draw

HEADER = "-- T\n--\n-- Grain: a\n-- Key: a\n-- Units: none\n-- Scope: patient\n-- Source: s\n-- Rows: raw_north.t\n"


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        for name in ("opioid_name", "adjuvant_name"):
            warehouse.build_reference(connection, CONTRACTS[f"reference.{name}"])
        for name in sorted(sql_files.macro_names()):
            macro = sql_files.macro(name)
            warehouse.create_macros(connection, [*macro.calls, macro])
        yield connection


@pytest.fixture
def mapping(tmp_path):
    def read(text):
        path = tmp_path / "sql" / "2_clean" / "north" / "prescription.sql"
        path.parent.mkdir(parents=True)
        path.write_text(HEADER + text)
        return sql_files.read(path)

    return read


@pytest.mark.parametrize(
    ("text", "opioid", "adjuvant"),
    [
        ("morphine", True, False),
        ("MORPHINE-10mg/mL", True, False),
        ("MS Contin 15 mg", True, False),
        ("ms  continue", False, False),
        ("ipratropium 0.5 mg", False, False),
        ("naloxone 4 mg spray", False, True),
        ("buprenorphine 8 mg / naloxone 2 mg", True, True),
        ("", False, False),
        (None, False, False),
    ],
)
def test_a_name_stands_in_a_text_as_whole_words_and_in_no_text_none_does(connection, text, opioid, adjuvant):
    found = connection.execute("select names_opioid($text), names_adjuvant($text)", {"text": text}).fetchall()
    assert found == [(opioid, adjuvant)]


@pytest.mark.parametrize(
    ("reference", "id"),
    [
        ("Patient/p1", "p1"),
        ("https://fhir.example.org/r4/Patient/p-1.a/_history/3", "p-1.a"),
        ("urn:uuid:0c3a-11", "0c3a-11"),
        ("p1", "p1"),
        ("#contained", ""),
        ("Patient?identifier=x|4711", ""),
        (None, None),
    ],
)
def test_a_reference_names_a_resource_by_its_id(connection, reference, id):
    assert connection.execute("select fhir_id($reference)", {"reference": reference}).fetchall() == [(id,)]


def test_a_column_called_as_those_of_the_macro_is_the_callers(connection):
    """A macro is put in the place of its call, where names of its own could come before the caller's."""
    connection.execute(
        "create table said as select * from (values ('a', 'fentanyl', 'b', 'codeine 1')) as t(word, words, route, drug_text)"
    )
    for alias in ("said", "opioid_name"):
        columns = [f"names_opioid({alias}.{name}), names_opioid({name})" for name in ("word", "words", "drug_text")]
        [found] = connection.execute(f"select {', '.join(columns)} from said as {alias}").fetchall()
        assert found == (False, False, True, True, True, True)


def test_a_step_called_as_the_macros_own_changes_nothing(connection):
    said = "with said as (select 'codeine' as words), opioid_name as (select 'aspirin' as word) "
    assert connection.execute(said + "select names_opioid('aspirin'), names_opioid(words) from said").fetchall() == [
        (False, True)
    ]


def test_a_file_that_calls_a_macro_reads_what_the_macro_reads(mapping):
    sql = mapping("select Names_Opioid(a) as a from raw_north.t")
    assert sql.reads == {"raw_north.t", "reference.opioid_name"}
    assert [macro.name for macro in sql.macros] == ["whole_words", "names_opioid"]


def test_a_file_that_calls_none_reads_no_more_than_it_says(mapping):
    sql = mapping("select a as names_opioid from raw_north.t")
    assert (sql.reads, sql.macros) == ({"raw_north.t"}, [])


def test_a_file_that_calls_a_macro_has_it_where_it_runs(mapping):
    sql = mapping("select drug_text from clean.prescription where names_opioid(drug_text)")
    with duckdb.connect() as connection:
        warehouse.build_reference(connection, CONTRACTS["reference.opioid_name"])
        draw(connection, "clean.prescription", "drug_text\n---\ncodeine\naspirin")
        assert warehouse.build_untyped(connection, sql) == 1


def test_the_fingerprint_of_a_file_changes_with_a_macro_it_calls(mapping):
    sql = mapping("select names_opioid(a) as a from raw_north.t")
    before = sql.fingerprint
    sql.macros[0] = replace(sql.macros[0], text="another")
    assert sql.fingerprint != before


def test_no_macro_takes_the_name_of_a_function():
    functions = {name for (name,) in duckdb.execute("select function_name from duckdb_functions()").fetchall()}
    assert not sql_files.macro_names() & functions


@pytest.mark.parametrize(
    "text",
    [
        "select 1\n",
        "-- T\ncreate or replace temp macro other(a) as\na;\n",
        "-- T\ncreate or replace temp macro faulty(a) as\na;\ndrop table clean.patient;\n",
        "-- T\ncreate or replace temp macro faulty(a) as\ngetenv(a);\n",
        "-- T\ncreate or replace temp macro faulty(a) as\nfaulty(a);\n",
        "-- T\ncreate or replace temp macro faulty(a) as\nexists (from read_text('/etc/passwd'));\n",
    ],
)
def test_a_macro_passes_the_gate_like_any_other_sql(text, tmp_path, monkeypatch):
    (tmp_path / "faulty.sql").write_text(text)
    monkeypatch.setattr(sql_files, "MACROS", tmp_path)
    monkeypatch.setattr(sql_files, "macro_names", lambda: frozenset({"faulty"}))
    with pytest.raises(SqlFileError):
        sql_files.macro.__wrapped__("faulty")
