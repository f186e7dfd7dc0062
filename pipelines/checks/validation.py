"""One table against its contract, pushed down into DuckDB."""

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from operator import not_
from threading import Lock
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, computed_field

from pipelines.checks import gx
from pipelines.contracts import Contract, Expectation, Severity
from pipelines.errors import ContractError

UNEXPECTED_ROWS = "unexpected_rows_expectation"
# A row lacking any of the values cannot break these, and by default is counted as if it could.
COMPARING = {
    "expect_column_pair_values_a_to_be_greater_than_b": "either_value_is_missing",
    "expect_multicolumn_sum_to_equal": "any_value_is_missing",
}
UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
# What DuckDB could not do, by the class of its error: the error's own text quotes rows.
_FAULTS = {
    "BinderException": "it names a column that is not there, or compares types that do not compare",
    "CatalogException": "it names a table or function that is not there",
    "ConversionException": "a value does not have the type that it is compared as",
    "OutOfRangeException": "a value is too large for its type",
    "ParserException": "it is not SQL",
    "InvalidInputException": "it is not one select, or stopped itself",
}
_ONE_TABLE_AT_A_TIME = Lock()


class CheckResult(BaseModel):
    """What one expectation found, in counts. Nothing here can hold a value of a row.

    Attributes:
        check: The check's name, unique within its table.
        expectation: Its Great Expectations type, and ``arguments`` as the contract gives them.
        column: Column or columns it is about, where it is about any.
        max_failing_share: Share of ``rows`` that may fail, and ``max_failing_rows`` their number. Any limit given
            is kept; without one, no row may.
        status: ``not_applicable`` where there was no row to judge; ``error`` where it could not be evaluated,
            which is not passed either.
        reason: Why it is not applicable or an error.
        rows: Rows at risk: those it could fail on (with a value, where it is about values). All rows of the table
            where it is not about single rows.
        failing_rows: Rows that broke it, of a passed check too; None where it is not about single rows, or was not
            evaluated.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    check: str
    expectation: str
    arguments: dict[str, Any]
    column: str | None
    severity: Severity
    why: str
    max_failing_share: float | None = None
    max_failing_rows: int | None = None
    status: Literal["passed", "failed", "not_applicable", "error"]
    reason: str | None = None
    rows: int
    failing_rows: int | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def failing_share(self) -> float | None:
        """Failing rows per row at risk; None where a query counts other rows than those."""
        if self.failing_rows is None or self.failing_rows > self.rows:
            return None
        return self.failing_rows / self.rows if self.rows else 0.0

    @property
    def threshold(self) -> str | None:
        """How many rows may fail, in words; None where it is not about single rows."""
        if self.failing_rows is None and self.status != "error":
            return None
        limits = [] if self.max_failing_share is None else [f"{100 * self.max_failing_share:.6g} %"]
        limits += [] if self.max_failing_rows is None else [f"{self.max_failing_rows:,} rows"]
        return " and ".join(limits) or "0 rows"

    @property
    def outcome(self) -> str:
        """Status with its counts and what was allowed."""
        status = self.status.replace("_", " ")
        if self.failing_rows is None or self.status == "not_applicable":
            return status
        of = f" of {self.rows:,}" if self.failing_share is not None and self.rows else ""
        has_limit = self.max_failing_share or self.max_failing_rows
        allowed = f" (at most {self.threshold} allowed)" if has_limit else ""
        return f"{status}, {self.failing_rows:,}{of} rows{allowed}"

    @property
    def is_open(self) -> bool:
        """It did not hold, or nobody knows whether it does."""
        return self.status in ("failed", "error")

    @property
    def blocks(self) -> bool:
        return self.severity == "critical" and self.is_open

    def judged(self, max_failing_share: float | None = None, max_failing_rows: int | None = None) -> "CheckResult":
        """The same counts under other limits, without another look at the rows.

        Args:
            max_failing_share: Share of ``rows`` that may fail, 0 to 1.
            max_failing_rows: Number of rows that may fail. With neither limit, none may.

        Returns:
            Unchanged where no rows were counted: no limit speaks of it.
        """
        if self.failing_rows is None:
            return self
        limits = {"max_failing_share": max_failing_share, "max_failing_rows": max_failing_rows}
        verdict = _verdict(self.rows, self.failing_rows, max_failing_share, max_failing_rows)
        return self.model_copy(update=limits | verdict)


def _verdict(
    rows: int, failing_rows: int, max_failing_share: float | None, max_failing_rows: int | None
) -> dict[str, str | None]:
    if not rows and not failing_rows:
        return {"status": "not_applicable", "reason": "There was no row to judge."}
    allowed = [] if max_failing_rows is None else [Fraction(max_failing_rows)]
    if max_failing_share is not None:
        allowed.append(Fraction(str(max_failing_share)) * rows)  # as it is written: 29 of 100 rows are 0.29
    is_kept = failing_rows <= min(allowed, default=0)
    return {"status": "passed" if is_kept else "failed", "reason": None}


def check_names(contract: Contract) -> list[str]:
    """Names of a contract's checks, in the order of ``contract.all_expectations``.

    They follow from what is checked, not from its place in the file: ``key_unique``, ``days_supply_between``,
    and for a query the first words of its *why*. A second check of the same name is numbered.
    """
    seen: Counter[str] = Counter()
    names = []
    for expectation in contract.all_expectations:
        name = _name(expectation, contract.key)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def check(connection: duckdb.DuckDBPyConnection, contract: Contract) -> list[CheckResult]:
    """Check a built table against its contract, one result per expectation, in the contract's order.

    Checks see what is committed: they run on read-only cursors of the given connection.

    Raises:
        ContractError: Great Expectations does not know an expectation, or not its arguments.
    """
    gx.great_expectations()
    expectations = contract.all_expectations
    names = check_names(contract)
    translated = [
        _translated(contract, name, expectation, index)
        for index, (name, expectation) in enumerate(zip(names, expectations, strict=True))
    ]
    found = _plainly(connection, contract.table, expectations)
    with _ONE_TABLE_AT_A_TIME:
        found |= _validate(
            connection, contract.table, [known for known in translated if known.meta["index"] not in found]
        )
    at_risk = _AtRisk(connection, contract)
    return [
        CheckResult(
            table=contract.table,
            check=name,
            expectation=expectation.type,
            arguments=expectation.model_extra or {},
            column=", ".join(_columns(expectation)) or None,
            severity=expectation.severity,
            why=expectation.why,
            max_failing_share=expectation.max_failing_share,
            max_failing_rows=expectation.max_failing_rows,
            **_judged(expectation, result, at_risk),
        )
        for name, expectation, result in zip(
            names, expectations, (found[index] for index in range(len(names))), strict=True
        )
    ]


def _translated(contract: Contract, name: str, expectation: Expectation, index: int) -> Any:
    """An expectation of a contract as one of Great Expectations, which remembers its place."""
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    arguments = dict(expectation.model_extra or {})
    meta = {"index": index}
    query = str(arguments.get("unexpected_rows_query")) if expectation.type == UNEXPECTED_ROWS else None
    if query:
        arguments["unexpected_rows_query"] = _query(query, contract.table)
    if expectation.type in COMPARING:
        arguments.setdefault("ignore_row_if", COMPARING[expectation.type])
    try:
        known = ExpectationConfiguration(type=expectation.type, kwargs=arguments, meta=meta).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError):  # what it says of a contract; anything else is a bug
        raise ContractError(
            f"{contract.table}: check {name} is no {expectation.type} that Great Expectations knows. "
            "Correct its type or arguments in the contract."
        ) from None
    has_limit = expectation.max_failing_share is not None or expectation.max_failing_rows is not None
    if has_limit and expectation.type != UNEXPECTED_ROWS and not hasattr(known, "map_metric"):
        raise ContractError(
            f"{contract.table}: check {name} is not about single rows, so no share or number of them may fail. "
            "Take max_failing_share and max_failing_rows out of it."
        )
    if _is_plainly_unique(expectation):
        query = _repeated(expectation)
    return gx.counted_rows()(unexpected_rows_query=_query(query, contract.table), meta=meta) if query else known


def _is_plainly_unique(expectation: Expectation) -> bool:
    return expectation.type in UNIQUE and not (expectation.model_extra or {}).keys() - {"column", "column_list"}


def _repeated(expectation: Expectation) -> str:
    """The rows that share their values with another row.

    Great Expectations would look every row up among the repeated values, which takes several times as long, and
    take NULL in one column of several for no value at all: rows that differ in nothing would pass.
    """
    columns = [_quoted(column) for column in _columns(expectation)]
    has_value = f"where {columns[0]} is not null " if len(columns) == 1 else ""
    return (
        f"select unnest(range(copies)) from (select count(*) as copies from {{batch}} {has_value}"
        f"group by {', '.join(columns)} having count(*) > 1)"
    )


def _query(query: str, table: str) -> str:
    """A contract's query such that Great Expectations counts its rows and sees no value of them.

    Left to itself it would fetch some of the rows, and put "(select ...) as subselect" for {batch}, after which a
    query can give no alias of its own; the comment meets its demand to see {batch}. It would read any other brace
    as a placeholder, and SQLAlchemy a colon before a word.
    """
    named = query.rstrip("; \n").replace("{batch}", table).replace("{", "{{").replace("}", "}}")
    escaped = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", named)
    return f"/* {{batch}} */ select 1 as failing from (\n{escaped}\n)"


@dataclass(frozen=True)
class _Found:
    """What is taken from a result of Great Expectations.

    Results hold values of rows even where none are asked for: in exceptions, in an observed minimum, in lists of
    unexpected values. So fields are picked, not removed.

    Attributes:
        is_met: Every row holds, or the table does; None where that could not be evaluated.
        is_about_rows: Single rows meet or break it.
        rows: Rows looked at, where only some were.
        fault: Class of DuckDB's error.
    """

    is_met: bool | None
    is_about_rows: bool
    failing_rows: int | None = None
    rows: int | None = None
    fault: str | None = None


def _plainly(connection: duckdb.DuckDBPyConnection, table: str, expectations: list[Expectation]) -> dict[int, _Found]:
    """The rules that columns and keys imply, counted by a query or two, by their place in the contract.

    Great Expectations takes most of its time to work out which of its metrics such a rule needs. It still knows every
    one and says how it is worded; and it evaluates them all where DuckDB cannot, so that it tells which are at fault.
    """
    counted, values = {}, []
    for index, expectation in enumerate(expectations):
        if broken := _broken(expectation):
            counted[index], bound = broken
            values += bound
    try:
        with connection.cursor() as cursor:
            cursor.execute("begin transaction read only")
            columns = [name for name, *_ in cursor.execute(f"describe {table}").fetchall()]
            query = f"select {', '.join(counted.values()) or 'count(*)'} from {table}".replace("{batch}", table)
            [counts] = cursor.execute(query, values).fetchall()
            repeated = {
                index: cursor.execute(
                    f"select count(*) from ({_repeated(expectation)})".replace("{batch}", table)
                ).fetchall()[0][0]
                for index, expectation in enumerate(expectations)
                if _is_plainly_unique(expectation)
            }
    except duckdb.Error:
        return {}
    rows_broken = dict(zip(counted, counts, strict=False)) | repeated  # with nothing to count, rows are
    found = {index: _Found(not rows, True, rows) for index, rows in rows_broken.items()}
    for index, expectation in enumerate(expectations):
        if expectation.type == "expect_table_columns_to_match_ordered_list":
            found[index] = _Found(columns == (expectation.model_extra or {}).get("column_list"), False)
    return found


def _broken(expectation: Expectation) -> tuple[str, list[Any]] | None:
    """SQL that counts the rows that break a plain rule, with its values; None where a rule says more than the plain."""
    arguments = dict(expectation.model_extra or {})
    column = _quoted(str(arguments.pop("column", None)))
    kind = expectation.type.removeprefix("expect_column_values_to_")
    if kind == "not_be_null" and not arguments:
        return f"count(*) filter (where {column} is null)", []
    if kind == "be_in_set" and arguments.keys() == {"value_set"}:
        allowed = arguments["value_set"]
        if allowed and all(isinstance(value, str) for value in allowed):
            return f"count(*) filter (where not list_contains(?::varchar[], {column}))", [allowed]
    if kind == "be_between" and not arguments.keys() - {"min_value", "max_value"}:
        limits = {"<": arguments.get("min_value"), ">": arguments.get("max_value")}
        given = {sign: limit for sign, limit in limits.items() if limit is not None}
        if given and all(type(limit) in (int, float) for limit in given.values()):
            beyond = " or ".join(f"{column} {sign} ?" for sign in given)
            return f"count(*) filter (where {beyond})", list(given.values())
    return None


def _validate(connection: duckdb.DuckDBPyConnection, table: str, expectations: list[Any]) -> dict[int, _Found]:
    """What Great Expectations finds of each expectation, by its place in the contract.

    First those about single columns, for pass or fail only, which takes a few aggregate queries. Then the queries, and
    those that failed or that choose their rows, with counts: to ask for counts everywhere would double the
    work of Great Expectations on every table, and a check that is met has no failing row.
    """
    from pipelines.checks.duckdb_dialect import lend

    def run(chosen: list[Any], result_format: str | dict[str, Any]) -> dict[int, Any]:
        if not chosen:
            return {}
        suite = gx.great_expectations().ExpectationSuite(name=table, expectations=chosen)
        validation = batch_definition.get_batch().validate(suite, result_format=result_format)
        # Results come in an order of their own.
        return {result.expectation_config.meta["index"]: result for result in validation.results}

    with lend(connection):
        asset, batch_definition = gx.whole_table()
        asset.query = f"select * from {table}"
        is_query = [isinstance(expectation, gx.counted_rows()) for expectation in expectations]
        found = run(list(compress(expectations, map(not_, is_query))), "BOOLEAN_ONLY")
        by_index = {expectation.meta["index"]: expectation for expectation in expectations}
        to_count = [
            by_index[index]
            for index, result in found.items()
            if not result.success or _chooses_rows(by_index[index], result)
            if not _raised(result)
        ]
        found |= run(
            [*compress(expectations, is_query), *to_count], {"result_format": "BASIC", "partial_unexpected_count": 0}
        )
    return {
        expectation.meta["index"]: _picked(expectation, found[expectation.meta["index"]])
        for expectation in expectations
    }


def _picked(expectation: Any, found: Any) -> _Found:
    is_query = isinstance(expectation, gx.counted_rows())
    is_about_rows = is_query or hasattr(expectation, "map_metric")
    if _raised(found):
        classes = re.findall(r"duckdb\.(\w+)", str(found.exception_info))
        return _Found(None, is_about_rows, fault=next((name for name in classes if name in _FAULTS), None))
    if not found.result:
        return _Found(found.success, is_about_rows, 0 if is_about_rows else None)
    rows = found.result.get("element_count") if _chooses_rows(expectation, found) else None
    if rows is not None and not expectation.expectation_type.endswith("null"):
        rows -= found.result.get("missing_count") or 0
    failing_rows = found.result.get("observed_value" if is_query else "unexpected_count")
    return _Found(found.success, is_about_rows, failing_rows if is_about_rows else None, rows)


def _chooses_rows(expectation: Any, result: Any) -> bool:
    """Whether a condition chooses its rows, or what is missing of several columns."""
    return "row_condition" in result.expectation_config.kwargs or (
        hasattr(expectation, "map_metric") and hasattr(expectation, "ignore_row_if")
    )


def _raised(result: Any) -> bool:
    """Whether evaluating raised: told directly, or per metric that could not be computed."""
    told = result.exception_info or {}
    return bool(told.get("raised_exception", bool(told)))


class _AtRisk:
    """How many rows of a table a check could fail on."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
        self._connection = connection
        self._table = contract.table
        described = connection.cursor().execute(f"describe {contract.table}").fetchall()
        columns = [_quoted(name) for name, *_ in described]
        counts = ", ".join(f"count({column})" for column in columns)
        [found] = connection.cursor().execute(f"select count(*), {counts} from {contract.table}").fetchall()
        self.table_rows, *filled = found
        self._filled = {name: count for (name, *_), count in zip(described, filled, strict=True)}

    def has(self, columns: list[str]) -> bool:
        return self._filled.keys() >= set(columns)

    def rows(self, expectation: Expectation) -> int:
        """All rows, those with a value where one column's values are judged, or those of the contract's own query.

        Raises:
            duckdb.Error: The query does not run.
        """
        if expectation.rows_at_risk_query:
            from pipelines.checks.duckdb_dialect import count_rows

            return count_rows(self._connection, expectation.rows_at_risk_query.replace("{batch}", self._table))
        columns = _columns(expectation)
        if len(columns) == 1 and not expectation.type.endswith("_null"):
            return self._filled.get(columns[0], 0)
        return self.table_rows


def _judged(expectation: Expectation, found: _Found, at_risk: _AtRisk) -> dict[str, Any]:
    """Status, reason and counts of one check."""
    try:
        rows = at_risk.rows(expectation) if found.rows is None else found.rows
        fault = found.fault
        is_met = found.is_met
    except duckdb.Error as error:
        is_met, fault, rows = None, type(error).__name__, at_risk.table_rows
    if is_met is None:
        if not at_risk.has(_columns(expectation)):
            fault = "BinderException"
        reason = f"It could not be evaluated: {_FAULTS.get(fault or '', 'the database or the check has a fault')}."
        return {"status": "error", "reason": reason, "rows": rows, "failing_rows": None}
    if found.failing_rows is not None:
        limits = (expectation.max_failing_share, expectation.max_failing_rows)
        return {"rows": rows, "failing_rows": found.failing_rows} | _verdict(rows, found.failing_rows, *limits)
    if _columns(expectation) and not rows:
        return {"status": "not_applicable", "reason": "There was no value to judge.", "rows": 0, "failing_rows": None}
    return {"status": "passed" if is_met else "failed", "rows": at_risk.table_rows, "failing_rows": None}


def _columns(expectation: Expectation) -> list[str]:
    arguments = expectation.model_extra or {}
    if expectation.type.startswith("expect_table_"):
        return []
    columns = [arguments.get(name) for name in ("column", "column_A", "column_B")]
    return [column for column in columns if column] or arguments.get("column_list", [])


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _name(expectation: Expectation, key: list[str]) -> str:
    columns = _columns(expectation)
    if expectation.type == UNEXPECTED_ROWS:
        words = re.findall(r"[a-z0-9]+", expectation.why.lower())
        return "_".join(words[:8]) or "query"
    if expectation.type == "expect_table_columns_to_match_ordered_list":
        return "columns_match"
    if columns == key and expectation.type.endswith("to_be_unique"):
        return "key_unique"
    rule = re.sub(r"^expect_(column_values_to_|column_|table_)?", "", expectation.type)
    return "_".join([*columns, re.sub(r"(to_)?be_", "", rule)])
