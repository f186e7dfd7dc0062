"""One table against its contract, pushed down into DuckDB."""

import re
from collections import Counter
from threading import Lock
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, computed_field

from pipelines.checks import gx
from pipelines.contracts import Contract, Expectation, Severity
from pipelines.errors import ContractError

UNEXPECTED_ROWS = "unexpected_rows_expectation"
# With these a check passes on failing rows, or looks at some rows only.
_COUNT_EVEN_IF_PASSED = {"mostly", "row_condition"}
_ONE_TABLE_AT_A_TIME = Lock()


class CheckResult(BaseModel):
    """What one expectation found, in counts. Nothing here can hold a value of a row.

    Attributes:
        check: The check's name, unique within its table.
        expectation: Its Great Expectations type, and ``arguments`` as the contract gives them.
        column: Column or columns it is about, where it is about any.
        status: ``error`` where it could not be evaluated, which is not passed either.
        rows: Rows looked at.
        failing_rows: Rows that broke it; None where it is not about single rows, or was not evaluated.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    check: str
    expectation: str
    arguments: dict[str, Any]
    column: str | None
    severity: Severity
    why: str
    status: Literal["passed", "failed", "error"]
    rows: int
    failing_rows: int | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def failing_share(self) -> float | None:
        """Failing rows per row looked at; None where a query counts other rows than the table's."""
        if self.failing_rows is None or self.failing_rows > self.rows:
            return None
        return self.failing_rows / self.rows if self.rows else 0.0

    @property
    def outcome(self) -> str:
        """Status with its counts: of how many is left out for a query, which may count other rows than the table's."""
        if self.failing_rows is None:
            return self.status
        of = "" if self.expectation == UNEXPECTED_ROWS else f" of {self.rows:,}"
        return f"{self.status}, {self.failing_rows:,}{of} rows"

    @property
    def blocks(self) -> bool:
        return self.severity == "critical" and self.status != "passed"


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
    [[rows]] = connection.cursor().execute(f"select count(*) from {contract.table}").fetchall()
    expectations = contract.all_expectations
    names = check_names(contract)
    as_known_to_gx = [
        _translated(contract, name, expectation, index)
        for index, (name, expectation) in enumerate(zip(names, expectations, strict=True))
    ]
    with _ONE_TABLE_AT_A_TIME:
        found = _validate(connection, contract.table, as_known_to_gx)
    return [
        CheckResult(
            table=contract.table,
            check=name,
            expectation=expectation.type,
            arguments=expectation.model_extra or {},
            column=", ".join(_columns(expectation)) or None,
            severity=expectation.severity,
            why=expectation.why,
            **({"rows": rows} | counts),
        )
        for name, expectation, counts in zip(names, expectations, found, strict=True)
    ]


def _translated(contract: Contract, name: str, expectation: Expectation, index: int) -> Any:
    """An expectation of a contract as one of Great Expectations, which remembers its place."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    arguments = dict(expectation.model_extra or {})
    if expectation.type == UNEXPECTED_ROWS:
        arguments["unexpected_rows_query"] = _query(str(arguments.get("unexpected_rows_query")), contract.table)
    try:
        return ExpectationConfiguration(type=expectation.type, kwargs=arguments, meta={"index": index}).to_domain_obj()
    except Exception:
        raise ContractError(
            f"{contract.table}: check {name} is no {expectation.type} that Great Expectations knows. "
            "Correct its type or arguments in the contract."
        ) from None


def _query(query: str, table: str) -> str:
    """A contract's query such that Great Expectations counts its rows and sees no value of them.

    Left to itself it would fetch some of the rows, and put "(select ...) as subselect" for {batch}, after which a
    query can give no alias of its own; the comment meets its demand to see {batch}. It would read any other brace
    as a placeholder, and SQLAlchemy a colon before a word.
    """
    named = query.rstrip("; \n").replace("{batch}", table).replace("{", "{{").replace("}", "}}")
    escaped = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", named)
    return f"/* {{batch}} */ select 1 as failing from (\n{escaped}\n)"


def _validate(connection: duckdb.DuckDBPyConnection, table: str, expectations: list[Any]) -> list[dict[str, Any]]:
    """Status and counts of each expectation.

    First all of them for pass or fail only, which takes a few aggregate queries. Then rows are counted where any
    can have failed: to ask for counts everywhere would double the work of Great Expectations on every table.
    """
    from pipelines.checks.duckdb_dialect import lend

    def run(chosen: list[Any], result_format: str | dict[str, Any]) -> dict[int, Any]:
        suite = gx.great_expectations().ExpectationSuite(name=table, expectations=chosen)
        validation = batch_definition.get_batch().validate(suite, result_format=result_format)
        # Results come in an order of their own.
        return {result.expectation_config.meta["index"]: result for result in validation.results}

    with lend(connection):
        asset, batch_definition = gx.whole_table()
        asset.query = f"select * from {table}"
        found = run(expectations, "BOOLEAN_ONLY")
        to_count = [
            expectations[index]
            for index, result in found.items()
            if not result.success or _COUNT_EVEN_IF_PASSED & result.expectation_config.kwargs.keys()
            if not _raised(result)
        ]
        counted = run(to_count, {"result_format": "BASIC", "partial_unexpected_count": 0}) if to_count else {}
    return [_counts(expectation, found[index], counted.get(index)) for index, expectation in enumerate(expectations)]


def _counts(expectation: Any, found: Any, counted: Any) -> dict[str, Any]:
    """Everything that is taken from a result: its status and two counts.

    Results hold values of rows even where none are asked for: in exceptions, in an observed minimum, in lists of
    unexpected values. So fields are picked, not removed.
    """
    if _raised(found) or (counted is not None and _raised(counted)):
        return {"status": "error", "failing_rows": None}
    status = "passed" if found.success else "failed"
    is_query = found.expectation_config.type == UNEXPECTED_ROWS
    if counted is None:
        return {"status": status, "failing_rows": 0 if is_query or hasattr(expectation, "map_metric") else None}
    failing_rows = counted.result.get("observed_value" if is_query else "unexpected_count")
    counts = {"status": status, "failing_rows": failing_rows}
    if "element_count" in counted.result:
        counts["rows"] = counted.result["element_count"]
    return counts


def _raised(result: Any) -> bool:
    """Whether evaluating raised: told directly, or per metric that could not be computed."""
    told = result.exception_info or {}
    return bool(told.get("raised_exception", bool(told)))


def _columns(expectation: Expectation) -> list[str]:
    arguments = expectation.model_extra or {}
    if expectation.type.startswith("expect_table_"):
        return []
    columns = [arguments.get(name) for name in ("column", "column_A", "column_B")]
    return [column for column in columns if column] or arguments.get("column_list", [])


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
