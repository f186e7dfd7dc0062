"""Contracts as checks: what passes, what fails, how many rows, and that no value of a row gets out."""

import datetime
import logging
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import checks, paths
from pipelines.checks import duckdb_dialect, validation
from pipelines.contracts import Contract
from pipelines.errors import ContractError

ENDS_EARLY = {
    "type": "unexpected_rows_expectation",
    "unexpected_rows_query": "select * from {batch} as p where p.end_date < p.start_date",
    "why": "A prescription does not end before it starts.",
}
SOUND = """
    prescription_id | source_row | days_supply | record_kind | start_date | end_date
    a               | 1          | 1           | dispensing  | 2020-01-01 | 2020-01-01
    b               | 2          | 365         | order       | 2020-01-02 | 2020-01-31
    c               | 3          |             |             | 2020-01-03 |
"""


def prescription(key=("prescription_id",), expectations=(ENDS_EARLY,)) -> Contract:
    return Contract.model_validate(
        {
            "table": "trajectory.prescription",
            "description": "Prescriptions.",
            "key": key,
            "columns": [
                {"name": "prescription_id", "type": "VARCHAR", "description": "Row id."},
                {"name": "source_row", "type": "BIGINT", "description": "Record."},
                {"name": "days_supply", "type": "INTEGER", "description": "Days.", "minimum": 1, "maximum": 365},
                {"name": "record_kind", "type": "VARCHAR", "description": "Kind.", "values": ["dispensing", "order"]},
                {"name": "start_date", "type": "DATE", "description": "First day.", "required": True},
                {"name": "end_date", "type": "DATE", "description": "Last day."},
            ],
            "expectations": expectations,
        }
    )


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute("create schema trajectory")
        yield connection


def draw(connection: duckdb.DuckDBPyConnection, contract: Contract, drawing: str) -> None:
    header, *rows = [[cell.strip() or None for cell in line.split("|")] for line in drawing.strip().splitlines()]
    connection.execute(contract.ddl)
    for row in rows:
        row += [None] * (len(header) - len(row))
        marks = ", ".join("?" for _ in row)
        connection.execute(f"insert into {contract.table} ({', '.join(header)}) values ({marks})", row)


def by_name(results: list[checks.CheckResult]) -> dict[str, checks.CheckResult]:
    assert len({result.check for result in results}) == len(results)
    return {result.check: result for result in results}


def not_passed(results: list[checks.CheckResult]) -> dict[str, tuple[str, int | None]]:
    return {result.check: (result.status, result.failing_rows) for result in results if result.is_open}


def expect(type_: str, **arguments: object) -> dict[str, object]:
    return {"type": type_, "why": "A reason.", **arguments}


def query(sql: str, why: str = "A reason.", **fields: object) -> dict[str, object]:
    return expect("unexpected_rows_expectation", unexpected_rows_query=sql) | {"why": why} | fields


# What passes and what fails


@pytest.mark.parametrize("key", [("prescription_id",), ("record_kind", "source_row")])
def test_a_sound_table_passes_every_check_that_its_contract_implies(connection, key):
    contract = prescription(key)
    draw(connection, contract, SOUND)
    results = checks.check(connection, contract)
    assert not_passed(results) == {}
    assert {(result.check, result.rows, result.failing_rows) for result in results} == {
        ("columns_match", 3, None),
        ("key_unique", 3, 0),
        ("days_supply_between", 2, 0),
        ("record_kind_in_set", 2, 0),
        ("start_date_not_null", 3, 0),
        ("a_prescription_does_not_end_before_it_starts", 3, 0),
    }


@pytest.mark.parametrize(
    ("key", "row", "check", "failing_rows", "rows"),
    [
        (("prescription_id",), "a | 4 | 5 | order | 2020-01-04", "key_unique", 2, 4),
        (("record_kind", "source_row"), "d | 2 | 5 | order | 2020-01-04", "key_unique", 2, 4),
        (("record_kind", "source_row"), "d | 3 | 5 |  | 2020-01-04", "key_unique", 2, 4),
        (("prescription_id",), "d | 4 | 0 | order | 2020-01-04", "days_supply_between", 1, 3),
        (("prescription_id",), "d | 4 | 366 | order | 2020-01-04", "days_supply_between", 1, 3),
        (("prescription_id",), "d | 4 | 5 | refill | 2020-01-04", "record_kind_in_set", 1, 3),
        (("prescription_id",), "d | 4 | 5 | order | ", "start_date_not_null", 1, 4),
        (
            ("prescription_id",),
            "d | 4 | 5 | order | 2020-01-04 | 2020-01-03",
            "a_prescription_does_not_end_before_it_starts",
            1,
            4,
        ),
    ],
)
def test_a_row_that_breaks_one_rule_fails_that_check_alone(connection, key, row, check, failing_rows, rows):
    contract = prescription(key)
    draw(connection, contract, SOUND + row)
    results = checks.check(connection, contract)
    assert not_passed(results) == {check: ("failed", failing_rows)}
    assert by_name(results)[check].rows == rows
    assert by_name(results)[check].failing_share == failing_rows / rows


def test_columns_may_be_called_by_words_that_sql_keeps_for_itself(connection):
    columns = [
        {"name": "select", "type": "VARCHAR", "description": "d", "required": True, "values": ["a"]},
        {"name": "end", "type": "INTEGER", "description": "d", "minimum": 1, "maximum": 2},
    ]
    contract = Contract(table="trajectory.reserved", description="d", key=["select", "end"], columns=columns)
    connection.execute(contract.ddl)
    connection.execute("insert into trajectory.reserved values ('a', 1), ('a', 3), ('b', 2), (null, 1)")
    assert not_passed(checks.check(connection, contract)) == {
        "select_not_null": ("failed", 1),
        "select_in_set": ("failed", 1),
        "end_between": ("failed", 1),
    }
    alone = contract.model_copy(update={"key": ["end"]})
    assert not_passed(checks.check(connection, alone))["key_unique"] == ("failed", 2)


def test_columns_in_another_order_do_not_match(connection):
    contract = prescription()
    connection.execute(contract.ddl)
    connection.execute(
        "create table trajectory.other as select end_date, * exclude (end_date) from trajectory.prescription"
    )
    connection.execute("drop table trajectory.prescription; alter table trajectory.other rename to prescription")
    assert not_passed(checks.check(connection, contract)) == {"columns_match": ("failed", None)}


def test_of_an_empty_table_only_the_columns_can_be_judged(connection):
    contract = prescription()
    connection.execute(contract.ddl)
    results = checks.check(connection, contract)
    assert {(result.status, result.rows, result.failing_rows) for result in results} == {
        ("passed", 0, None),
        ("not_applicable", 0, 0),
    }
    assert [result.check for result in results if result.status == "passed"] == ["columns_match"]
    assert not any(result.blocks or result.is_open for result in results)
    assert {result.reason for result in results} == {None, "There was no row to judge."}


def test_a_check_on_the_values_of_a_column_without_any_is_not_applicable(connection):
    highest = expect("expect_column_max_to_be_between", column="days_supply", max_value=9)
    contract = prescription(expectations=[highest])
    draw(connection, contract, SOUND.replace("| 1           |", "|             |").replace("| 365 ", "|     "))
    found = by_name(checks.check(connection, contract))
    statuses = {name: (result.status, result.rows) for name, result in found.items()}
    assert statuses["days_supply_between"] == ("not_applicable", 0)
    assert statuses["days_supply_max_between"] == ("not_applicable", 0)
    assert statuses["start_date_not_null"] == ("passed", 3)


# Limits


def late(**limits: object) -> dict[str, object]:
    """One of the three sound rows is late."""
    return expect("expect_column_values_to_be_between", column="start_date", min_value="2020-01-02", **limits)


@pytest.mark.parametrize(
    ("limits", "status", "threshold"),
    [
        ({}, "failed", "0 rows"),
        ({"max_failing_rows": 0}, "failed", "0 rows"),
        ({"max_failing_rows": 1}, "passed", "1 rows"),
        ({"max_failing_share": 0.33}, "failed", "33 %"),
        ({"max_failing_share": 0.34}, "passed", "34 %"),
        ({"max_failing_share": 0.34, "max_failing_rows": 0}, "failed", "34 % and 0 rows"),
        ({"max_failing_share": 0.33, "max_failing_rows": 1}, "failed", "33 % and 1 rows"),
        ({"max_failing_share": 0.34, "max_failing_rows": 1}, "passed", "34 % and 1 rows"),
    ],
)
def test_rows_may_fail_up_to_every_limit_given_and_are_counted(connection, limits, status, threshold):
    why = "Late rows."
    contract = prescription(
        expectations=[late(**limits), query("select 1 from {batch} where start_date < '2020-01-02'", why, **limits)]
    )
    draw(connection, contract, SOUND)
    found = by_name(checks.check(connection, contract))
    for result in (found["start_date_between"], found["late_rows"]):
        assert (result.status, result.failing_rows, result.rows, result.threshold) == (status, 1, 3, threshold)


def test_a_share_is_taken_as_it_is_written():
    assert 0.29 * 100 < 29
    assert result(rows=100, failing_rows=29).judged(max_failing_share=0.29).status == "passed"
    assert result(rows=100, failing_rows=30).judged(max_failing_share=0.29).status == "failed"


def test_other_limits_need_no_other_look_at_the_rows():
    failed = result(rows=100, failing_rows=5)
    passed = failed.judged(max_failing_rows=5)
    assert (failed.status, passed.status, passed.judged().status) == ("failed", "passed", "failed")
    assert passed.outcome == "passed, 5 of 100 rows (at most 5 rows allowed)"
    error = result(status="error", failing_rows=None, reason="Why.")
    assert error.judged(max_failing_share=1) == error
    assert result(rows=0, failing_rows=0, status="not_applicable").judged(max_failing_rows=0).status == "not_applicable"
    assert result(rows=0, failing_rows=1).judged().status == "failed"


def test_a_stored_result_reads_back_the_same():
    for found in (result(), result(status="error", failing_rows=None, reason="Why.", max_failing_share=0.1)):
        assert checks.CheckResult.model_validate_json(found.model_dump_json()) == found


def test_a_check_that_is_not_about_single_rows_has_no_limit(connection):
    contract = prescription(expectations=[expect("expect_table_row_count_to_be_between", max_failing_rows=1)])
    connection.execute(contract.ddl)
    with pytest.raises(ContractError, match="row_count_between is not about single rows"):
        checks.check(connection, contract)


def test_mostly_is_refused_in_words_that_say_what_to_write():
    with pytest.raises(ValueError, match="mostly is said as max_failing_share, which is 1 less mostly"):
        prescription(expectations=[late(mostly=0.9)])


def test_a_condition_makes_the_rows_it_selects_the_denominator(connection):
    orders = expect(
        "expect_column_values_to_be_between",
        column="source_row",
        max_value=1,
        row_condition={
            "type": "comparison",
            "column": {"name": "record_kind"},
            "operator": "==",
            "parameter": "order",
        },
    )
    contract = prescription(expectations=[orders])
    draw(connection, contract, SOUND)
    result = by_name(checks.check(connection, contract))["source_row_between"]
    assert (result.status, result.failing_rows, result.rows) == ("failed", 1, 1)


@pytest.mark.parametrize(
    ("type_", "arguments", "failing_rows", "rows"),
    [
        ("column_pair_values_a_to_be_greater_than_b", {}, 50, 50),
        ("column_pair_values_a_to_be_greater_than_b", {"ignore_row_if": "either_value_is_missing"}, 50, 50),
        ("column_pair_values_a_to_be_greater_than_b", {"ignore_row_if": "both_values_are_missing"}, 50, 100),
        ("column_pair_values_a_to_be_greater_than_b", {"ignore_row_if": "neither"}, 50, 110),
        ("column_pair_values_to_be_equal", {}, 100, 100),
        ("column_pair_values_to_be_equal", {"ignore_row_if": "either_value_is_missing"}, 50, 50),
        ("multicolumn_sum_to_equal", {"sum_total": 3}, 0, 50),
        ("multicolumn_sum_to_equal", {"sum_total": 4}, 50, 50),
        ("multicolumn_values_to_be_equal", {"ignore_row_if": "any_value_is_missing"}, 50, 50),
        ("select_column_values_to_be_unique_within_record", {"ignore_row_if": "any_value_is_missing"}, 0, 50),
    ],
)
def test_of_several_columns_the_rows_that_can_be_compared_are_at_risk(connection, type_, arguments, failing_rows, rows):
    """Of 110 rows, 50 have both values, 50 one, 10 none."""
    pair = "pair" in type_
    columns = {"column_A": "c", "column_B": "b"} if pair else {"column_list": ["c", "b"]}
    contract = Contract.model_validate(
        {
            "table": "trajectory.t",
            "description": "T.",
            "key": [],
            "columns": [{"name": name, "type": "INTEGER", "description": "N."} for name in ("b", "c")],
            "expectations": [expect(f"expect_{type_}", **columns, **arguments)],
        }
    )
    connection.execute(contract.ddl)
    connection.execute("insert into trajectory.t select if(i < 100, 2, null), if(i < 50, 1, null) from range(110) r(i)")
    [result] = checks.check(connection, contract)[1:]
    assert (result.failing_rows, result.rows) == (failing_rows, rows)
    assert result.status == ("failed" if failing_rows else "passed")


rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "e", None]),
        st.integers(-1, 3) | st.integers(363, 367) | st.none(),
        st.sampled_from(["dispensing", "order", "Order", "", None]),
        st.sampled_from(["2020-01-01", None]),
    ),
    max_size=12,
)


@settings(max_examples=20, deadline=None)
@given(rows)
def test_failing_rows_are_those_counted_one_by_one(drawn):
    contract = prescription()
    with duckdb.connect() as connection:
        connection.execute("create schema trajectory")
        connection.execute(contract.ddl)
        for id_, days, kind, start in drawn:
            connection.execute(
                "insert into trajectory.prescription (prescription_id, days_supply, record_kind, start_date) "
                "values (?, ?, ?, ?)",
                [id_, days, kind, start],
            )
        found = by_name(checks.check(connection, contract))
    ids = [id_ for id_, *_ in drawn]
    expected = {
        "key_unique": sum(id_ is not None and ids.count(id_) > 1 for id_ in ids),
        "days_supply_between": sum(days is not None and not 1 <= days <= 365 for _, days, *_ in drawn),
        "record_kind_in_set": sum(kind not in {"dispensing", "order", None} for _, _, kind, _ in drawn),
        "start_date_not_null": sum(start is None for *_, start in drawn),
    }
    assert {name: found[name].failing_rows for name in expected} == expected
    at_risk = {
        "key_unique": sum(id_ is not None for id_ in ids),
        "days_supply_between": sum(days is not None for _, days, *_ in drawn),
        "record_kind_in_set": sum(kind is not None for _, _, kind, _ in drawn),
        "start_date_not_null": len(drawn),
    }
    assert {name: found[name].rows for name in expected} == at_risk
    assert {name: found[name].status for name in expected} == {
        name: "failed" if count else "passed" if at_risk[name] else "not_applicable" for name, count in expected.items()
    }


# Queries


def test_a_query_may_name_the_table_twice_give_it_an_alias_and_join_another_schema(connection):
    connection.execute("create schema reference")
    connection.execute("create table reference.code as select 'order' as kind")
    sql = """
        with known as (select kind from reference.code)  -- a comment

        select * from {batch} as p
        left join known on known.kind = p.record_kind
        where known.kind is null and p.source_row <= (select max(source_row) from {batch});
    """
    contract = prescription(expectations=[query(sql)])
    draw(connection, contract, SOUND)
    assert not_passed(checks.check(connection, contract)) == {"a_reason": ("failed", 2)}


def test_braces_colons_and_percent_signs_in_a_query_are_its_own(connection):
    sql = (
        "select * from {batch} where regexp_matches(prescription_id, '^[a-z]{1}$') and {'a':1}.a = 1 "
        "and start_date::varchar like '%20%' and strftime(start_date, ' :Y%Y') = ' :Y2020'"
    )
    contract = prescription(expectations=[query(sql)])
    draw(connection, contract, SOUND)
    assert not_passed(checks.check(connection, contract)) == {"a_reason": ("failed", 3)}


def test_a_query_that_counts_other_rows_than_the_tables_has_no_share(connection):
    contract = prescription(expectations=[query("select * from {batch}, range(2)")])
    draw(connection, contract, SOUND)
    result = by_name(checks.check(connection, contract))["a_reason"]
    assert (result.failing_rows, result.rows, result.failing_share) == (6, 3, None)


def test_a_query_about_other_rows_says_which_are_at_risk(connection):
    orders = "select 1 from {batch} where record_kind = 'order'"
    contract = prescription(
        expectations=[
            query(f"{orders} and days_supply > 90", "Long.", rows_at_risk_query=orders, max_failing_share=0.5),
            query("select 1 from {batch} where false", "None.", rows_at_risk_query="from {batch} where false"),
            query(orders, "Broken.", rows_at_risk_query="from {batch} where prescription_id::integer = 1"),
            query(orders, "Writes.", rows_at_risk_query="select 1); drop table {batch}; select * from (select 1"),
        ]
    )
    draw(connection, contract, SOUND)
    found = by_name(checks.check(connection, contract))
    assert (found["long"].status, found["long"].failing_rows, found["long"].rows) == ("failed", 1, 1)
    assert (found["none"].status, found["none"].rows) == ("not_applicable", 0)
    assert (found["broken"].status, found["writes"].status) == ("error", "error")
    assert connection.execute("select count(*) from trajectory.prescription").fetchall() == [(3,)]


def test_only_a_query_says_which_rows_are_at_risk():
    with pytest.raises(ValueError, match="rows_at_risk_query belongs to an unexpected_rows_expectation"):
        prescription(expectations=[late(rows_at_risk_query="from {batch}")])


@pytest.mark.parametrize(
    "sql",
    [
        "with gone as (delete from {batch} returning *) select * from gone",
        "select 1) as found; drop table {batch}; select * from (select 1",
        "select 1) as found; commit; drop table {batch}; select * from (select 1",
        "drop table {batch}",
    ],
)
def test_a_query_changes_nothing(connection, sql):
    contract = prescription(expectations=[query(sql)])
    draw(connection, contract, SOUND)
    assert not_passed(checks.check(connection, contract)) == {"a_reason": ("error", None)}
    assert connection.execute("select count(*) from trajectory.prescription").fetchall() == [(3,)]


def test_no_statement_that_writes_gets_through_the_dialect(connection):
    connection.execute("create table trajectory.t as select 1 as x")
    with duckdb_dialect.lend(connection):
        for sql in ("drop table trajectory.t", "select 1; drop table trajectory.t", "commit"):
            with pytest.raises(duckdb.InvalidInputException, match="exactly one select"):
                duckdb_dialect.WarehouseDialect().connect().cursor().execute(sql)
        with pytest.raises(duckdb.Error, match="read-only"):
            duckdb_dialect.WarehouseDialect().connect().cursor().execute(
                "with gone as (delete from trajectory.t returning *) select * from gone"
            )


# Errors and severity


def test_checks_that_cannot_be_evaluated_are_errors_and_leave_the_others_their_verdict(connection):
    breaks = "select * from {batch} where prescription_id::integer > "
    contract = prescription(
        expectations=[
            expect("expect_column_values_to_be_between", column="prescription_id", min_value=0),  # text, so a cast
            expect("expect_column_values_to_not_be_null", column="strength"),
            *(query(breaks + str(number), f"Breaks {number}.") for number in range(5)),
            query("select * from {batch} where source_row > 3", "Fails."),
        ]
    )
    draw(connection, contract, SOUND + "d | 4 | 0 | order | 2020-01-04")
    results = checks.check(connection, contract)
    assert not_passed(results) == {
        "days_supply_between": ("failed", 1),
        "prescription_id_between": ("error", None),
        "strength_not_null": ("error", None),
        **{f"breaks_{number}": ("error", None) for number in range(5)},
        "fails": ("failed", 1),
    }
    reasons = {name: found.reason for name, found in by_name(results).items() if found.status == "error"}
    assert reasons["breaks_0"] == ("It could not be evaluated: a value does not have the type that it is compared as.")
    assert reasons["strength_not_null"] == (
        "It could not be evaluated: it names a column that is not there, or compares types that do not compare."
    )


def test_what_is_critical_and_did_not_pass_blocks(connection):
    fails, breaks = "select * from {batch}", "select * from {batch} where prescription_id::integer > 0"
    contract = prescription(
        expectations=[
            query("select * from {batch} where false", "Passes."),
            query(fails, "Fails."),
            query(breaks, "Breaks."),
            query(fails, "Warns.", severity="warning"),
            query(breaks, "Warns brokenly.", severity="warning"),
        ]
    )
    draw(connection, contract, SOUND)
    found = by_name(checks.check(connection, contract))
    assert {name for name, result in found.items() if result.blocks} == {"fails", "breaks"}
    assert (found["warns"].status, found["warns"].severity) == ("failed", "warning")
    assert (found["warns_brokenly"].status, found["warns_brokenly"].severity) == ("error", "warning")


@pytest.mark.parametrize(
    "unknown",
    [
        expect("expect_column_values_to_be_nice", column="days_supply"),
        expect("expect_column_values_to_be_between", column="days_supply", smallest=1),
        expect("unexpected_rows_expectation", query="select 1"),
    ],
)
def test_an_expectation_that_great_expectations_does_not_know_is_the_contracts_fault(connection, unknown):
    contract = prescription(expectations=[unknown])
    connection.execute(contract.ddl)
    with pytest.raises(ContractError, match=r"^trajectory\.prescription: check \w+ is no \w+ that .+ knows\. Correct "):
        checks.check(connection, contract)


# Names


def test_names_follow_the_checks_and_are_numbered_where_two_are_alike(connection):
    again = expect("expect_column_values_to_be_between", column="days_supply", max_value=90)
    longer = expect("expect_compound_columns_to_be_unique", column_list=["source_row", "record_kind"])
    contract = prescription(
        expectations=[
            again,
            ENDS_EARLY,
            longer,
            expect("expect_table_row_count_to_be_between", min_value=1),
            query("select * from {batch} where false", "A dose of 0 mg/day (or less) is no dose at all, ever."),
        ]
    )
    names = checks.check_names(contract)
    assert names == [
        "columns_match",
        "key_unique",
        "days_supply_between",
        "record_kind_in_set",
        "start_date_not_null",
        "days_supply_between_2",
        "a_prescription_does_not_end_before_it_starts",
        "source_row_record_kind_compound_columns_unique",
        "row_count_between",
        "a_dose_of_0_mg_day_or_less",
    ]
    draw(connection, contract, SOUND)
    assert [result.check for result in checks.check(connection, contract)] == names


# No value of a row gets out

CANARY = {"text": "Zaphod", "integer": 770123450, "double": 88012.625, "day": datetime.date(1903, 7, 9)}
CANARIES = re.compile(r"Zaphod|zaphod|770[,.]?123[,.]?450|88[,.]?012\.6|1903-07-0?9|1903, 7, 9|09/07/1903")

LEAKY = Contract.model_validate(
    {
        "table": "trajectory.leaky",
        "description": "Every cell is a canary.",
        "key": ["text"],
        "columns": [
            {"name": "text", "type": "VARCHAR", "description": "Text.", "values": ["oral"]},
            {"name": "integer", "type": "BIGINT", "description": "Whole number.", "minimum": 0, "maximum": 9},
            {"name": "double", "type": "DOUBLE", "description": "Number.", "maximum": 9},
            {"name": "day", "type": "DATE", "description": "Day."},
        ],
        "expectations": [
            expect("expect_column_values_to_be_between", column="day", min_value=datetime.date(2000, 1, 1)),
            expect("expect_column_values_to_be_between", column="text", min_value=0),
            expect("expect_column_values_to_be_between", column="integer", max_value=9, max_failing_share=1.0),
            expect("expect_column_max_to_be_between", column="double", max_value=9),
            expect("expect_column_min_to_be_between", column="day", min_value=datetime.date(2000, 1, 1)),
            expect("expect_column_sum_to_be_between", column="integer", max_value=9),
            expect("expect_column_distinct_values_to_be_in_set", column="text", value_set=["oral"]),
            expect("expect_column_most_common_value_to_be_in_set", column="integer", value_set=[1]),
            expect("expect_column_pair_values_to_be_equal", column_A="integer", column_B="double"),
            expect("expect_compound_columns_to_be_unique", column_list=["text", "day"]),
            query("select * from {batch}", "Fails."),
            query("select * from {batch} where text::integer > 0", "Breaks."),
            query("from {batch} where error(text || integer || double || day) is null", "Quotes.", severity="warning"),
        ],
    }
)


@pytest.fixture
def leaky(connection):
    connection.execute(LEAKY.ddl)
    connection.executemany("insert into trajectory.leaky values (?, ?, ?, ?)", [list(CANARY.values())] * 3)
    return connection


def test_no_value_of_a_failing_row_is_in_results_data_docs_logs_or_output(leaky, tmp_path, caplog, capfd):
    with pytest.raises(duckdb.Error, match="Zaphod"):  # the error that a check must not repeat
        leaky.execute("select * from trajectory.leaky where text::integer > 0")
    caplog.set_level(logging.DEBUG)
    results = checks.check(leaky, LEAKY)
    statuses = {result.check: result.status for result in results}
    assert statuses.pop("columns_match") == "passed" and statuses.pop("integer_between_2") == "passed"
    assert {name for name, status in statuses.items() if status == "error"} == {"text_between", "breaks", "quotes"}
    assert set(statuses.values()) == {"failed", "error"}
    checks.data_docs(results, tmp_path / "quality", "A failed run", {"Study": "demo"})

    written = {path.name: path.read_text() for path in (tmp_path / "quality").rglob("*") if path.is_file()}
    assert written.keys() == {"index.html", "trajectory.leaky.html"}
    said = capfd.readouterr()
    everything = {
        **written,
        "results": "\n".join(result.model_dump_json() + repr(result) for result in results),
        "log": "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records),
        "output": said.out + said.err,
    }
    assert {where: CANARIES.findall(text) for where, text in everything.items()} == {where: [] for where in everything}


def test_what_great_expectations_logs_is_not_passed_on(leaky, capfd):
    checks.check(leaky, LEAKY)
    passed_on: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: passed_on.append(record.getMessage())
    logging.getLogger().addHandler(listener)
    try:
        logging.getLogger("great_expectations.validator").error("Caught exception quoting Zaphod")
        logging.getLogger("pipelines").error("heard")
    finally:
        logging.getLogger().removeHandler(listener)
    said = capfd.readouterr()
    assert (passed_on, said.out, said.err) == (["heard"], "", "")


def test_the_leak_test_would_know_its_canaries(leaky):
    [row] = leaky.execute("select distinct text, integer, double, day from trajectory.leaky").fetchall()
    assert all(CANARIES.search(shown) for value in row for shown in (str(value), repr(value)))
    assert all(CANARIES.search(f"{value:,}") for value in row[1:3])


def test_failing_rows_are_counted_in_the_warehouse_not_fetched(connection, monkeypatch):
    fetched = []

    class Recording(duckdb_dialect._Cursor):
        def fetchmany(self, size=None):
            fetched.extend(found := super().fetchmany(size))
            return found

        def fetchall(self):
            fetched.extend(found := self.__getattr__("fetchall")())
            return found

        def fetchone(self):
            fetched.append(found := self.__getattr__("fetchone")())
            return found

    contract = prescription(expectations=[ENDS_EARLY, query("select * from {batch}")])
    connection.execute(contract.ddl)
    connection.execute(
        "insert into trajectory.prescription select 'ZZZ', i, 400, 'YYY', null, null from range(50000) as r (i)"
    )
    monkeypatch.setattr(duckdb_dialect, "_Cursor", Recording)
    found = not_passed(checks.check(connection, contract))
    assert {count for _, count in found.values()} == {50000}
    assert fetched
    assert not [row for row in fetched if row and {"ZZZ", "YYY"} & set(row)]


# The pipeline's connection


def test_checks_leave_no_transaction_open_and_an_unread_result_readable(tmp_path, monkeypatch):
    kept = []

    class Kept(duckdb_dialect._Cursor):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)

    monkeypatch.setattr(duckdb_dialect, "_Cursor", Kept)
    contract = prescription()
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("create schema trajectory")
        draw(connection, contract, SOUND)
        connection.execute("select * from range(3)")
        checks.check(connection, contract)
        assert kept
        assert connection.fetchall() == [(0,), (1,), (2,)]
        connection.execute("drop table trajectory.prescription")
        connection.execute("checkpoint")  # refused while any other transaction is open


def test_one_process_checks_one_warehouse_after_another():
    contract, found = prescription(), []
    for drawing in (SOUND, SOUND + "d | 4 | 0 | order | 2020-01-04"):
        with duckdb.connect() as connection:
            connection.execute("create schema trajectory")
            draw(connection, contract, drawing)
            found.append(not_passed(checks.check(connection, contract)))
    assert found == [{}, {"days_supply_between": ("failed", 1)}]


# In a module of its own: a function keeps its module's names alive, and DuckDB remarks on that at exit.
NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    print("network")
    raise OSError("no network")

class Refused(socket.socket):
    connect = connect_ex = sendto = refuse

socket.socket, socket.getaddrinfo = Refused, refuse
"""

LATE_AND_SILENT = """
import sys
from pathlib import Path
import duckdb
from pipelines import checks
from pipelines.contracts import Contract

late = {"great_expectations", "sqlalchemy", "duckdb_engine", "pandas"}
assert not late & set(sys.modules), late & set(sys.modules)
contract = Contract.model_validate({
    "table": "main.t", "description": "", "key": ["x"],
    "columns": [{"name": "x", "type": "VARCHAR", "description": "", "required": True}],
    "expectations": [{"type": "unexpected_rows_expectation", "why": "Breaks.",
                      "unexpected_rows_query": "select * from {batch} where x::integer > 0"}],
})
with duckdb.connect() as connection:
    connection.execute("create table main.t as select 'Zaphod' as x")
    results = checks.check(connection, contract)
assert [result.status for result in results] == ["passed", "passed", "passed", "error"]
checks.data_docs(results, Path(sys.argv[1]), "A run", {})
"""


def test_great_expectations_loads_late_stays_silent_and_offline_and_leaves_spark_alone(tmp_path):
    modules, home = tmp_path / "modules", tmp_path / "home"
    for folder in (modules / "pyspark", home):
        folder.mkdir(parents=True)
    (modules / "pyspark" / "__init__.py").write_text("import os; os._exit(42)")
    (modules / "sitecustomize.py").write_text(NO_NETWORK)
    ran = subprocess.run(
        [sys.executable, "-c", LATE_AND_SILENT, str(tmp_path / "quality")],
        capture_output=True,
        text=True,
        cwd=home,
        env={"PYTHONPATH": f"{modules}:{paths.ROOT}", "PATH": "", "HOME": str(home)},
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert (tmp_path / "quality" / "index.html").exists()
    assert list(home.iterdir()) == []


# Data Docs


def result(**fields: object) -> checks.CheckResult:
    fixed = {
        "table": "trajectory.prescription",
        "check": "days_supply_between",
        "expectation": "expect_column_values_to_be_between",
        "arguments": {"column": "days_supply", "min_value": 1, "max_value": 365},
        "column": "days_supply",
        "severity": "critical",
        "why": "A prescription covers a year at most.",
        "status": "failed",
        "rows": 12345,
        "failing_rows": 678,
    }
    return checks.CheckResult.model_validate(fixed | fields)


def text_of(page: Path) -> str:
    """What a reader sees: the page without style and tags, each run of blanks as one."""
    body = re.sub(r"<style>.*?</style>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"failing_rows": 678, "rows": 12345}, "failed, 678 of 12,345 rows"),
        ({"failing_rows": 6208, "rows": 0}, "failed, 6,208 rows"),
        ({"failing_rows": 3, "rows": 10, "max_failing_share": 0.2}, "failed, 3 of 10 rows (at most 20 % allowed)"),
        ({"failing_rows": 0, "rows": 0, "status": "not_applicable"}, "not applicable"),
        ({"failing_rows": None}, "failed"),
        ({"failing_rows": None, "status": "error"}, "error"),
    ],
)
def test_an_outcome_is_a_share_of_the_rows_only_where_those_were_checked(fields, said):
    assert result(**fields).outcome == said


def test_data_docs_show_each_check_with_its_counts_and_reason(tmp_path):
    index = checks.data_docs([result()], tmp_path / "deep" / "quality", "Demo study", {"Study": "demo", "Code": "abc"})
    assert index == tmp_path / "deep" / "quality" / "index.html"
    page = text_of(index.parent / "trajectory.prescription.html")
    for shown in ("Demo study", "Study demo", "Code abc", "12,345", "678", "≈5.4921% unexpected", "critical"):
        assert shown in page
    assert "days_supply values must be greater than or equal to 1 and less than or equal to 365 ." in page
    assert "A prescription covers a year at most." in page


def test_the_front_page_lists_what_did_not_pass_critical_first_and_every_table(tmp_path):
    results = [
        result(table="raw.a", check="fine", status="passed", failing_rows=0),
        result(table="raw.b", check="doubtful", severity="warning"),
        result(table="raw.b", check="broken", status="error", failing_rows=None),
        result(table="raw.c", check="bad", failing_rows=1),
    ]
    page = text_of(checks.data_docs(results, tmp_path, "Demo study", {}))
    assert re.search(r"4 checks 1 passed 2 critical not passed 1 warnings", page)
    not_passed_part, tables = page.split("Tables, in the order they were checked")
    assert re.findall(r"(raw\.\w) (\w+) (failed|warning|not evaluated)", not_passed_part) == [
        ("raw.b", "broken", "not evaluated"),
        ("raw.c", "bad", "failed"),
        ("raw.b", "doubtful", "warning"),
    ]
    assert re.findall(r"(raw\.\w) (\w+)", tables) == [("raw.a", "passed"), ("raw.b", "failed"), ("raw.c", "failed")]


def test_a_run_that_checked_nothing_still_has_its_data_docs(tmp_path):
    page = text_of(checks.data_docs([], tmp_path, "Demo study", {"Study": "demo"}))
    assert "The run ended before a table was checked." in page
    assert "Every check passed" not in page
    assert "Every check passed." in text_of(
        checks.data_docs([result(status="passed", failing_rows=0)], tmp_path, "Demo study", {})
    )


def test_the_pages_of_a_failed_run_say_so_first_and_never_that_every_check_passed(tmp_path):
    passed = [result(status="passed", failing_rows=0)]
    failed = {"failures": ["rx.csv: is empty. Deliver it again."], "not_built": ["raw_x.rx", "clean.patient"]}
    index = checks.data_docs(passed, tmp_path, "Demo study", {}, **failed)
    page = text_of(index)
    assert "Run failed rx.csv: is empty. Deliver it again." in page
    assert "2 tables of the study raw_x.rx, clean.patient." in page
    assert "Every check passed" not in page
    assert "Run failed" in text_of(tmp_path / "trajectory.prescription.html")
    assert "Run failed" in text_of(checks.data_docs([], tmp_path, "Demo study", {}, **failed))


def test_data_docs_need_no_network_and_lead_only_to_one_another(tmp_path):
    results = [result(), result(status="error", failing_rows=None), result(table="raw.x", status="passed")]
    checks.data_docs(results, tmp_path, "Demo study", {})
    pages = sorted(path.name for path in tmp_path.iterdir())
    assert pages == ["index.html", "raw.x.html", "trajectory.prescription.html"]
    for name in pages:
        page = (tmp_path / name).read_text()
        assert not re.search(r"//|<script|<link|<img|<iframe|src=|url\(|@import", page), name
        assert {link for link in re.findall(r'href="([^"]*)"', page) if link[0] != "#"} <= {*pages}, name


def test_data_docs_lead_back_to_the_page_that_they_stand_behind(tmp_path):
    checks.data_docs([result()], tmp_path, "Demo study", {}, page="../index.html")
    for name in ("index.html", "trajectory.prescription.html"):
        assert '<a href="../index.html">Quality of the run</a>' in (tmp_path / name).read_text()


def test_a_check_that_no_row_was_at_risk_of_has_no_tick(tmp_path):
    index = checks.data_docs([result(status="not_applicable", rows=0, failing_rows=0)], tmp_path, "Demo study", {})
    assert "1 checks 0 passed 0 critical not passed 0 warnings 1 not applicable" in text_of(index)
    page = tmp_path / "trajectory.prescription.html"
    assert "fa-check-circle" not in page.read_text().split("</style>")[1]
    assert re.search(r"n/a .* not applicable 0 0 critical", text_of(page))


def test_what_a_contract_says_is_text_on_a_page_not_markup(tmp_path):
    bad = "<img src=x> & <script>"
    results = [
        result(why=bad, expectation="expect_column_values_to_be_in_set", arguments={"column": bad, "value_set": [bad]}),
        result(
            check="query",
            why=bad,
            expectation="unexpected_rows_expectation",
            arguments={"unexpected_rows_query": f"select '{bad} $column $$' from {{batch}}"},
        ),
    ]
    checks.data_docs(results, tmp_path, bad, {bad: bad})
    for page in tmp_path.iterdir():
        assert not re.search(r"<img|<script", page.read_text()), page.name
    assert (
        "select '&lt;img src=x&gt; &amp; &lt;script&gt; $column $$' from {batch}"
        in (tmp_path / "trajectory.prescription.html").read_text()
    )


def test_plain_rules_count_what_great_expectations_counts(connection, monkeypatch):
    contract = prescription(
        key=("prescription_id", "record_kind"),
        expectations=(
            {"type": "expect_column_values_to_be_unique", "column": "source_row", "why": "One row each."},
            {"type": "expect_column_values_to_be_between", "column": "source_row", "min_value": 2, "why": "Late."},
            {"type": "expect_column_values_to_not_be_null", "column": "end_date", "max_failing_rows": 1, "why": "End."},
        ),
    )
    broken = """
        prescription_id | source_row | days_supply | record_kind | start_date | end_date
        a               | 1          | 0           | dispensing  | 2020-01-01 | 2020-01-01
        b               | 1          | 366         | telepathy   |            |
        c               | 3          |             |             |            |
        d               |            | 365         | order       | 2020-01-03 |
    """
    for drawing in (SOUND, broken):
        draw(connection, contract, drawing)
        plainly = checks.check(connection, contract)
        with monkeypatch.context() as patched:
            patched.setattr(validation, "_plainly", lambda *_: {})
            assert checks.check(connection, contract) == plainly
    assert len(not_passed(plainly)) >= 6
