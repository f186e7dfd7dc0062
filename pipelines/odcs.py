"""Contracts as the Open Data Contract Standard 3.1 has them (https://bitol-io.github.io/open-data-contract-standard/).

One document for each table. What the standard has no word for (units, counts of rows that may fail beside a share)
goes where it keeps such things: custom properties, SQL, and rules of an engine.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    Description,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Server,
    Team,
)

from pipelines import contracts
from pipelines.checks import check_names
from pipelines.contracts import Column, Contract, Expectation
from pipelines.errors import ContractError, PipelineError

API_VERSION = "v3.1.0"
LOGICAL_TYPES = {
    "VARCHAR": "string",
    "CHAR": "string",
    "BPCHAR": "string",
    "TEXT": "string",
    "STRING": "string",
    "UUID": "string",
    "ENUM": "string",
    "BLOB": "string",
    "BYTEA": "string",
    "BIT": "string",
    "INTERVAL": "string",
    "BOOLEAN": "boolean",
    "BOOL": "boolean",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "UTINYINT": "integer",
    "USMALLINT": "integer",
    "UINTEGER": "integer",
    "UBIGINT": "integer",
    "UHUGEINT": "integer",
    "INT": "integer",
    "FLOAT": "number",
    "REAL": "number",
    "NUMERIC": "number",
    "DOUBLE": "number",
    "DECIMAL": "number",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPTZ": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "DATETIME": "timestamp",
    "TIME": "time",
    "STRUCT": "object",
    "MAP": "object",
    "JSON": "object",
}
# What the columns of a document say already: their order, and logicalTypeOptions for ranges.
_SAID_BY_COLUMNS = ("columns_match",)


def export(contract: Contract) -> OpenDataContractStandard:
    """A contract as a document of the standard.

    Raises:
        ContractError: The document is none by the standard's own schema, or it has no type for a column.
    """
    names = check_names(contract)
    rules = [
        rule
        for name, expectation in zip(names, contract.all_expectations, strict=True)
        if name not in _SAID_BY_COLUMNS
        for rule in _rules(contract, name, expectation)
    ]
    document = OpenDataContractStandard(
        apiVersion=API_VERSION,
        kind="DataContract",
        id=f"opioid-hyperalgesia-cohort.{contract.table}",
        name=contract.table,
        version=contract.version,
        status="active",
        description=Description(purpose=contract.description),
        team=Team(name=contract.owner),
        servers=[
            Server.model_validate(
                {
                    "server": "warehouse",
                    "type": "duckdb",
                    "database": "warehouse.duckdb",
                    "schema": contract.schema_name,
                }
            )
        ],
        schema=[
            SchemaObject(
                name=contract.name,
                physicalName=contract.table,
                physicalType="table",
                logicalType="object",
                description=contract.description,
                dataGranularityDescription=f"One row per {', '.join(contract.key)}." if contract.key else None,
                properties=[_property(contract, column) for column in contract.columns],
                quality=rules or None,
            )
        ],
        customProperties=[
            CustomProperty(
                property="changelog",
                value=[f"{change.version} ({change.date}): {change.change}" for change in contract.changelog],
            )
        ],
    )
    fault = next(_schema().iter_errors(json.loads(document.model_dump_json(by_alias=True, exclude_none=True))), None)
    if fault:
        place = ".".join(map(str, fault.absolute_path))
        raise ContractError(f"{contract.table}: does not fit the standard at {place}. Correct the contract there.")
    return document


def write(table: str | None, out: Path) -> list[Path]:
    """Write one table's document, or those of all tables.

    Args:
        table: Table, as ``schema.name``; None for all of them.
        out: File of one document; folder of all of them, which is made if missing.

    Raises:
        PipelineError: There is no such table, or the file cannot be written.
    """
    known = contracts.all_contracts()
    if table and table not in known:
        raise PipelineError(f"{table}: has no contract. Name one of the tables of data_contracts, as in clean.patient.")
    files = {out: known[table]} if table else {out / f"{name}.odcs.yaml": each for name, each in known.items()}
    try:
        for file, contract in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(export(contract).to_yaml(), encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{out}: cannot be written ({error.strerror}). Choose another place.") from None
    return list(files)


@cache
def _schema() -> Any:
    schema = json.loads(OpenDataContractStandard.json_schema())
    return jsonschema.validators.validator_for(schema)(schema)


def _property(contract: Contract, column: Column) -> SchemaProperty:
    place = contract.key.index(column.name) + 1 if column.name in contract.key else None
    logical_type = _logical_type(column.type)
    item_type = _logical_type(re.sub(r"\[\d*\]$", "", column.type)) if logical_type == "array" else None
    if logical_type is None or (logical_type == "array" and item_type is None):
        raise ContractError(
            f"{contract.table}: the standard has no type for {column.type} of column {column.name}. Give it another."
        )
    custom = {"unit": column.unit, "mayBeMissing": column.may_be_missing or None}
    options = {"minimum": column.minimum, "maximum": column.maximum}
    if logical_type not in ("integer", "number"):  # a range of anything else is said by its rule alone
        options = {}
    return SchemaProperty(
        name=column.name,
        physicalName=column.delivered_as,
        physicalType=column.type,
        logicalType=logical_type,
        logicalTypeOptions={name: _number(value) for name, value in options.items() if value is not None} or None,
        items=SchemaProperty(logicalType=item_type) if item_type else None,
        description=column.description,
        required=column.required,
        unique=contract.key == [column.name],
        primaryKey=place is not None,
        primaryKeyPosition=place,
        customProperties=[CustomProperty(property=n, value=v) for n, v in custom.items() if v is not None] or None,
    )


def _logical_type(type_: str) -> str | None:
    if type_.endswith("]"):
        return "array"
    return LOGICAL_TYPES.get(re.split(r"\W", type_)[0].upper())


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _rules(contract: Contract, name: str, expectation: Expectation) -> list[DataQuality]:
    """A check as rules of the standard, one for each limit that it has."""
    arguments = expectation.model_extra or {}
    about = {"name": name, "description": expectation.why, "severity": expectation.severity}
    limits: list[dict[str, Any]] = []
    if expectation.max_failing_share is not None:
        limits.append(
            {"unit": "percent", "mustBeLessOrEqualTo": _number(round(100 * expectation.max_failing_share, 9))}
        )
    if expectation.max_failing_rows is not None:
        limits.append({"unit": "rows", "mustBeLessOrEqualTo": expectation.max_failing_rows})
    limits = limits or [{"unit": "rows", "mustBe": 0}]
    query = arguments.get("unexpected_rows_query")
    if query:
        failing = f"select count(*) from ({_of(contract, query)})"
        at_risk = f"select count(*) from ({_of(contract, expectation.rows_at_risk_query or 'from {batch}')})"
        share = f"select coalesce(100.0 * ({failing}) / nullif(({at_risk}), 0), 0)"
        return [
            DataQuality(**about, type="sql", query=share if limit["unit"] == "percent" else failing, **limit)
            for limit in limits
        ]
    metric = _metric(expectation)
    if metric:
        return [DataQuality(**about, type="library", **metric, **limit) for limit in limits]
    implementation = {"type": expectation.type, "kwargs": json.loads(json.dumps(arguments, default=str))}
    if expectation.max_failing_share is not None:
        implementation["kwargs"]["mostly"] = round(1 - expectation.max_failing_share, 12)
    rows = expectation.max_failing_rows
    own = None if rows is None else [CustomProperty(property="maxFailingRows", value=rows)]
    return [
        DataQuality(
            **about, type="custom", engine="great-expectations", implementation=implementation, customProperties=own
        )
    ]


def _of(contract: Contract, query: str) -> str:
    return query.replace("{batch}", contract.table).strip().rstrip(";")


def _metric(expectation: Expectation) -> dict[str, Any] | None:
    """The standard's own metric for a check, where it has one."""
    arguments = dict(expectation.model_extra or {})
    columns = arguments.pop("column_list", None) or [arguments.pop("column", None)]
    if expectation.type == "expect_column_values_to_be_in_set":
        about = {"validValues": [str(value) for value in arguments.pop("value_set")]}
        metric = "invalidValues"
    elif expectation.type in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"):
        about, metric = {}, "duplicateValues"
    elif expectation.type == "expect_column_values_to_not_be_null":
        about, metric = {}, "nullValues"
    else:
        return None
    return None if arguments else {"metric": metric, "arguments": {"properties": columns, **about}}
