"""Data contracts: what each table must look like, read from data_contracts/.

A contract is the only place a column is declared. From it come the table's DDL, the cast of a delivered
file, the rules that send a row to quarantine, and the checks that Great Expectations runs.
"""

import json
import re
from datetime import date
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pipelines import paths, sql_gate, yaml_file
from pipelines.errors import ContractError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Severity = Literal["critical", "warning"]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]

BUILDER = re.compile(r"pipelines(\.[a-z][a-z0-9_]*){2,}")
# Of a column, what a reader of the table relies on.
_SHAPE = {"name", "type", "unit", "required", "minimum", "maximum", "values", "delivered_as", "may_be_missing"}
COUNTED = ("patient", "episode", "row")
# What Great Expectations can do on DuckDB, and the arguments in which it names columns.
CHECKS = frozenset(
    """
    unexpected_rows_expectation

    expect_column_distinct_values_to_be_in_set expect_column_distinct_values_to_contain_set
    expect_column_distinct_values_to_equal_set expect_column_max_to_be_between expect_column_mean_to_be_between
    expect_column_median_to_be_between expect_column_min_to_be_between expect_column_most_common_value_to_be_in_set
    expect_column_proportion_of_non_null_values_to_be_between expect_column_proportion_of_unique_values_to_be_between
    expect_column_quantile_values_to_be_between expect_column_stdev_to_be_between expect_column_sum_to_be_between
    expect_column_to_exist expect_column_unique_value_count_to_be_between expect_column_value_lengths_to_be_between
    expect_column_value_lengths_to_equal expect_column_value_z_scores_to_be_less_than
    expect_column_values_to_be_between expect_column_values_to_be_in_set expect_column_values_to_be_null
    expect_column_values_to_be_unique expect_column_values_to_not_be_in_set expect_column_values_to_not_be_null

    expect_column_pair_values_a_to_be_greater_than_b expect_column_pair_values_to_be_equal
    expect_compound_columns_to_be_unique expect_multicolumn_sum_to_equal expect_multicolumn_values_to_be_equal
    expect_select_column_values_to_be_unique_within_record

    expect_table_column_count_to_be_between expect_table_column_count_to_equal
    expect_table_columns_to_match_ordered_list expect_table_columns_to_match_set
    expect_table_row_count_to_be_between expect_table_row_count_to_equal
    """.split()  # noqa: SIM905 (one name a line would be 40 lines)
)
NAMES_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")
CONDITIONS = ("comparison", "nullity", "and", "or")
IMPLIED = "Follows from the columns and the key of this contract."


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Strict):
    """One column.

    Attributes:
        type: DuckDB type.
        required: A row without a value does not fit.
        minimum: Smallest value that fits, inclusive; likewise ``maximum``.
        values: The only values that fit.
        delivered_as: The header's spelling in a delivered file, where it is not ``name``.
        may_be_missing: A delivered file may lack the column, which is NULL then (raw tables only).
        is_patient_count: The column counts patients, so published cells pass disclosure control. So do columns
            whose unit is ``episode`` or ``row``.
        withheld_with: The patient count on the same row that this column describes; hidden wherever that is.
        is_published: False for a count that decides what is published and never is itself.
        shows_small: Of a hidden count of this column the report says that it is small.
    """

    name: Name
    type: str
    description: str
    unit: str | None = None
    required: bool = False
    minimum: float | None = Field(None, allow_inf_nan=False)
    maximum: float | None = Field(None, allow_inf_nan=False)
    values: list[str] | None = None
    delivered_as: str | None = None
    may_be_missing: bool = False
    is_patient_count: bool = False
    withheld_with: Name | None = None
    is_published: bool = True
    shows_small: bool = False

    @property
    def is_count(self) -> bool:
        return self.is_patient_count or self.unit in COUNTED


class AcceptedIdentifier(_Strict):
    """A delivered column that looks identifying, or is free text, and yet may be in the extract.

    Attributes:
        column: Its name in the delivered file, whether it is loaded or not.
        kind: What it looks like, as ``reference.identifier_name`` and ``reference.identifier_pattern`` call it.
        reason: Why it may be there, for the reviewer to judge.
    """

    column: str
    kind: str
    reason: str = Field(min_length=20)


class Sum(_Strict):
    """Counts that add up, so that a reader could work a hidden one out from the others (report tables only).

    A term is a column, ``previous.<column>`` (the row before, in the order of the key), or the name of a count that
    no table shows, in a few words, with ``{column}`` for values of the row. One name is one count, in any table.

    Attributes:
        total: Term that the parts add up to.
        parts: Terms that add up to it.
        over: Columns whose values the rows share that add up to one total; by default each row is on its own.
        where: Rows it is about, as a SQL condition.
    """

    total: str
    parts: list[str] = Field(min_length=1)
    over: list[Name] | None = None
    where: str | None = None


class Expectation(BaseModel):
    """A Great Expectations expectation. Fields not named here are its arguments.

    Attributes:
        type: Its name in Great Expectations.
        severity: Whether the run stops where it does not hold.
        why: What it is for, in a sentence.
        max_failing_share: Share of the rows at risk that may fail. Any limit given is kept; without one, no row may.
        max_failing_rows: Rows that may fail.
        rows_at_risk_query: Select whose rows could have failed, of a query that finds other rows than the table's.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    severity: Severity = "critical"
    why: str
    max_failing_share: float | None = Field(None, ge=0, le=1)
    max_failing_rows: int | None = Field(None, ge=0)
    rows_at_risk_query: str | None = None

    @model_validator(mode="after")
    def _limits_are_ours(self) -> "Expectation":
        if "mostly" in (self.model_extra or {}):
            raise ValueError("mostly is said as max_failing_share, which is 1 less mostly")
        if self.rows_at_risk_query and self.type != "unexpected_rows_expectation":
            raise ValueError("rows_at_risk_query belongs to an unexpected_rows_expectation")
        return self


class Change(_Strict):
    """One version of a contract.

    Attributes:
        fingerprint: Of the columns, checks and limits that the version has, so that none changes in silence.
        change: What is new in it, in a sentence.
    """

    version: Version
    date: date
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    change: str


class Contract(_Strict):
    """One table's contract.

    Attributes:
        table: Table it is about, as ``schema.name``; its path says the same.
        version: Version of the contract. The first number is raised where readers of the table must change, the
            second where they may (a new column), the third where nothing changes for them.
        owner: Whom to ask, and who agrees to a change.
        changelog: Every version, the newest first.
        key: Columns that together identify a row; empty where a delivery has none.
        columns: Columns, in order.
        expectations: What must hold beyond the key, the types and the column rules.
        files: Delivered files, as a glob below the extract's folder (raw tables only).
        database_schema: Schema of the table in a delivered DuckDB database, where several have one of its name; that of
            the study goes first (raw tables only).
        may_be_missing: An extract may lack the table, which is empty then and told apart from one without events
            by clean.source_coverage (raw tables only).
        accepted_identifiers: Delivered columns that the screen for identifiers would refuse (raw tables only).
        delivery: How deliveries follow one another (raw tables only): a ``snapshot`` replaces the one before, files
            of an ``increment`` are added to what earlier runs loaded, and of an ``upsert`` a later file's row
            replaces the row of the same key.
        max_quarantined_share: Share of delivered rows in quarantine above which the run stops.
        event_date: Column that dates the table's events (clean tables of events only).
        built_by: The function that builds the table, where no SQL file does.
        reads: The tables that function reads.
        adds_up: Which counts add up to which (report tables only); what disclosure control reasons with.
    """

    table: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
    version: Version = "1.0.0"
    owner: str = "data engineering"
    changelog: list[Change] = []
    description: str
    key: list[Name]
    columns: list[Column]
    expectations: list[Expectation] = []
    files: str | None = None
    database_schema: str | None = None
    may_be_missing: bool = False
    delivery: Literal["snapshot", "increment", "upsert"] = "snapshot"
    accepted_identifiers: list[AcceptedIdentifier] = []
    max_quarantined_share: float = Field(0.05, ge=0, le=1)
    event_date: str | None = None
    built_by: str | None = None
    reads: list[str] = []
    adds_up: list[Sum] = []

    @property
    def schema_name(self) -> str:
        return self.table.split(".")[0]

    @property
    def name(self) -> str:
        return self.table.split(".")[1]

    @property
    def is_raw(self) -> bool:
        return self.schema_name.startswith("raw_")

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @cached_property
    def types(self) -> dict[str, str]:
        """Column types of the built table; a raw table carries where each row was delivered, too."""
        declared = {column.name: column.type for column in self.columns}
        return declared | ({"source_file": "VARCHAR", "source_row": "BIGINT"} if self.is_raw else {})

    @property
    def columns_fingerprint(self) -> str:
        """Hash of the shape of the table: its key, and of each column all but the words."""
        return _fingerprint(self._shape)

    @property
    def fingerprint(self) -> str:
        """Hash of what a reader of the table relies on: its shape, and every check but its words."""
        checks = [expectation.model_dump(exclude={"why"}, exclude_defaults=True) for expectation in self.expectations]
        return _fingerprint([self._shape, checks, self.max_quarantined_share])

    @property
    def _shape(self) -> list:
        return [self.key, [column.model_dump(include=_SHAPE, exclude_defaults=True) for column in self.columns]]

    @property
    def unrecorded_change(self) -> str | None:
        """What to write into the contract where its columns or checks are not those that its changelog says."""
        newest = self.changelog[0] if self.changelog else None
        if newest and (newest.version, newest.fingerprint) == (self.version, self.fingerprint):
            return None
        entry = f"{{version: ?, date: {date.today()}, fingerprint: '{self.fingerprint}', change: ?}}"
        return (
            f"{self.table}: its columns, checks or version are not those of the newest entry of its changelog. "
            f"Raise the version and put first in the changelog: {entry}."
        )

    @property
    def ddl(self) -> str:
        # A delivered column may be called by a word that SQL keeps for itself.
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in self.types.items())
        return f"create or replace table {self.table} ({columns})"

    @property
    def all_expectations(self) -> list[Expectation]:
        """The written expectations, after the ones the key and the columns imply."""
        implied = [
            {"type": "expect_table_columns_to_match_ordered_list", "column_list": list(self.types)},
            *self._key_expectations(),
            *(rule for column in self.columns for rule in _column_expectations(column)),
        ]
        written = [Expectation.model_validate({**rule, "why": IMPLIED}) for rule in implied] + self.expectations
        return written + self._quarantine_expectations()

    @property
    def is_filled(self) -> bool:
        """A clean table that sources fill; the other clean tables keep the books."""
        return self.schema_name == "clean" and self.built_by is None and self.name != "quarantine"

    def _quarantine_expectations(self) -> list[Expectation]:
        """Rows in quarantine: any is worth a look, more than the contract allows stop the run."""
        if self.is_raw:
            quarantine = "raw.quarantine"
            own = f"source = '{self.schema_name.removeprefix('raw_')}' and table_name = '{self.name}'"
        elif self.is_filled:
            quarantine = "clean.quarantine"
            own = f"table_name = '{self.name}'"
        else:
            return []
        limits: list[tuple[Severity, float, str]] = [
            ("critical", self.max_quarantined_share, "So many rejected rows are no extract of this table"),
            ("warning", 0, "Rejected rows are in quarantine, with the rule that each broke"),
        ]
        return [
            Expectation.model_validate(
                {
                    "type": "unexpected_rows_expectation",
                    "severity": severity,
                    "why": f"{why}.",
                    "unexpected_rows_query": f"select 1 from {quarantine} where {own}",
                    "rows_at_risk_query": f"select 1 from {{batch}} union all select 1 from {quarantine} where {own}",
                    "max_failing_share": share,
                }
            )
            for severity, share, why in limits
        ]

    def _key_expectations(self) -> list[dict]:
        if len(self.key) > 1:
            return [{"type": "expect_compound_columns_to_be_unique", "column_list": self.key}]
        return [{"type": "expect_column_values_to_be_unique", "column": name} for name in self.key]


def _fingerprint(content: list) -> str:
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _column_expectations(column: Column) -> list[dict]:
    rules: list[dict] = []
    if column.required:
        rules.append({"type": "expect_column_values_to_not_be_null", "column": column.name})
    if column.minimum is not None or column.maximum is not None:
        rules.append(
            {
                "type": "expect_column_values_to_be_between",
                "column": column.name,
                "min_value": column.minimum,
                "max_value": column.maximum,
            }
        )
    if column.values is not None:
        rules.append({"type": "expect_column_values_to_be_in_set", "column": column.name, "value_set": column.values})
    return rules


def read(path: Path) -> Contract:
    """Read one contract.

    Raises:
        ContractError: The file is not a contract, or its table is not the one its path names.
    """
    where = paths.relative(path)
    try:
        contract = Contract.model_validate(yaml_file.read(path, where, ContractError))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors())
        raise ContractError(f"{where}: {faults}. Compare it with a contract beside it.") from None
    expected = paths.table_name(path)
    if contract.table != expected:
        raise ContractError(f"{where}: says table {contract.table}, but its path means {expected}. Rename one.")
    unknown = set(contract.key) - set(contract.types)
    if unknown:
        raise ContractError(f"{where}: key names no column: {', '.join(sorted(unknown))}. Correct the key.")
    if contract.delivery == "upsert" and not contract.key:
        raise ContractError(f"{where}: an upsert without a key cannot tell what it replaces. Name the key.")
    _refuse_hostile(contract, where)
    unknown = _columns_of_sums(contract) - set(contract.types)
    if unknown:
        raise ContractError(
            f"{where}: adds_up or withheld_with names no column: {', '.join(sorted(unknown))}. "
            "Name a column, or a count that no table shows in more than one word."
        )
    return contract


def _refuse_hostile(contract: Contract, where: str) -> None:
    """Refuse what would be more than it says once it stands in SQL or is looked up by name."""
    for expectation in contract.expectations:
        _refuse_hostile_check(contract, expectation, where)
    for added in contract.adds_up:
        if added.where:
            sql_gate.condition(added.where, f"{where}: adds_up", ContractError)
    if odd := [column.name for column in contract.columns if not sql_gate.is_type(column.type)]:
        raise ContractError(f"{where}: the type of column {odd[0]} is none. Use one of DuckDB's.")
    if contract.event_date not in (None, *contract.types):
        raise ContractError(f"{where}: event_date names no column. Correct it.")
    if contract.built_by and not BUILDER.fullmatch(contract.built_by):
        raise ContractError(f"{where}: built_by is no function of this package. Name it as pipelines.module.function.")


def _refuse_hostile_check(contract: Contract, expectation: Expectation, where: str) -> None:
    """Refuse a check that Great Expectations cannot do on DuckDB, or would write into SQL as it stands."""
    if expectation.type not in CHECKS:
        raise ContractError(
            f"{where}: {expectation.type} is no check that works on DuckDB. Write an unexpected_rows_expectation, "
            "or for a type the type of the column."
        )
    condition = (expectation.model_extra or {}).get("row_condition")
    if isinstance(condition, str):
        raise ContractError(
            f"{where}: a row_condition in SQL does not work on DuckDB. Write an unexpected_rows_expectation with a "
            "rows_at_risk_query, or row_condition as a comparison."
        )
    for argument, value in expectation.model_dump(exclude_none=True).items():
        if argument.endswith("query"):
            sql_gate.select(str(value).replace("{batch}", contract.table), f"{where}: {argument}", ContractError)
    if odd := _named_columns(expectation) - set(contract.types):
        raise ContractError(
            f"{where}: a check names no column of this contract: {', '.join(sorted(map(repr, odd)))}. Correct it."
        )
    if any(node.get("type") not in CONDITIONS for node in sql_gate.nodes(condition) if node.keys() != {"name"}):
        raise ContractError(f"{where}: a row_condition is none of {', '.join(CONDITIONS)}. Write it as one of them.")


def _named_columns(expectation: Expectation) -> set[str]:
    """Whatever stands where a check names columns."""
    arguments = expectation.model_extra or {}
    named = [arguments[argument] for argument in NAMES_COLUMNS if argument in arguments]
    named += [node["name"] for node in sql_gate.nodes(arguments.get("row_condition")) if "name" in node]
    return {str(name) for one in named for name in (one if isinstance(one, list) else [one])}


def _columns_of_sums(contract: Contract) -> set[str]:
    """Columns that ``adds_up`` and ``withheld_with`` name; a term of several words is no column."""
    named = {column.withheld_with for column in contract.columns if column.withheld_with}
    for added in contract.adds_up:
        terms = (term.removeprefix("previous.") for term in (added.total, *added.parts))
        named |= {term for term in terms if " " not in term} | set(added.over or [])
    return named


@cache
def all_contracts() -> dict[str, Contract]:
    """Every contract by table, in the order of flow."""
    found = [read(path) for path in sorted(paths.DATA_CONTRACTS.rglob("*.yaml"))]
    return {contract.table: contract for contract in found}


@cache
def raw_contracts(source: str) -> list[Contract]:
    """The contracts of one source's delivered tables."""
    return [read(path) for path in sorted((paths.DATA_CONTRACTS / "0_raw" / source).glob("*.yaml"))]
