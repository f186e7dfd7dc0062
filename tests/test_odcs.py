"""Every contract exports to the Open Data Contract Standard 3.1 and says there what it says here."""

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from pipelines import contracts, odcs
from pipelines.checks import check_names
from pipelines.cli.contract import export as oih_export
from pipelines.contracts import Contract
from pipelines.errors import ContractError, PipelineError

ALL = contracts.all_contracts()


@pytest.mark.parametrize("contract", ALL.values(), ids=lambda contract: contract.table)
def test_a_contract_says_in_the_standard_what_it_says_here(contract):
    text = odcs.export(contract).to_yaml()
    document = OpenDataContractStandard.from_string(text)
    [table] = document.schema_
    assert (document.name, table.physicalName) == (contract.table, contract.table)
    assert (document.version, document.team.name, document.apiVersion) == (contract.version, contract.owner, "v3.1.0")
    assert document.description.purpose == table.description == contract.description
    assert [(p.name, p.physicalType, p.description) for p in table.properties] == [
        (c.name, c.type, c.description) for c in contract.columns
    ]
    assert [bool(p.required) for p in table.properties] == [c.required for c in contract.columns]
    assert [p.physicalName for p in table.properties] == [c.delivered_as for c in contract.columns]
    key = {p.primaryKeyPosition: p.name for p in table.properties if p.primaryKey}
    assert [key[place] for place in sorted(key)] == [name for name in contract.key if name in contract.column_names]
    units = [{c.property: c.value for c in p.customProperties or []}.get("unit") for p in table.properties]
    assert units == [c.unit for c in contract.columns]
    assert {rule.name for rule in table.quality} == set(check_names(contract)) - {"columns_match"}
    assert all(rule.description and rule.severity in ("critical", "warning") for rule in table.quality)


def dose(**changed: object) -> Contract:
    fields = {
        "table": "trajectory.dose",
        "description": "Doses.",
        "key": ["id", "kind"],
        "columns": [
            {"name": "id", "type": "VARCHAR", "description": "Row.", "required": True},
            {"name": "kind", "type": "VARCHAR", "description": "Kind.", "values": ["a", "b"]},
            {"name": "dose_mme", "type": "DOUBLE", "description": "Dose.", "minimum": 0, "maximum": 9.5},
            {"name": "parts", "type": "STRUCT(name VARCHAR)[]", "description": "Parts."},
            {"name": "first_date", "type": "DATE", "description": "First day."},
        ],
    }
    return Contract.model_validate(fields | changed)


def rules(contract: Contract) -> dict[str, dict]:
    [table] = odcs.export(contract).schema_
    about = {"name", "description", "severity"}
    return {rule.name: rule.model_dump(exclude_none=True, exclude=about) for rule in table.quality}


def test_what_is_written_is_valid_by_the_schema_that_the_standard_publishes(tmp_path):
    for table in ("label.vote", "clean.prescription"):
        oih_export(out=tmp_path / "x.yaml", table=table)
        schema = yaml.safe_load(OpenDataContractStandard.json_schema())
        jsonschema.validate(yaml.safe_load((tmp_path / "x.yaml").read_text()), schema)


def test_a_document_that_is_none_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(odcs, "API_VERSION", "v9")
    with pytest.raises(PipelineError, match=r"^clean\.patient: does not fit the standard at apiVersion\. "):
        oih_export(out=tmp_path / "x.yaml", table="clean.patient")
    assert not (tmp_path / "x.yaml").exists()


def test_columns_have_the_types_and_ranges_of_the_standard():
    [table] = odcs.export(dose()).schema_
    assert [(p.logicalType, p.logicalTypeOptions) for p in table.properties] == [
        ("string", None),
        ("string", None),
        ("number", {"minimum": 0, "maximum": 9.5}),
        ("array", None),
        ("date", None),
    ]


def test_what_columns_and_key_imply_are_metrics_of_the_standard():
    found = rules(dose())
    none = {"type": "library", "unit": "rows", "mustBe": 0}
    assert found["key_unique"] == none | {"metric": "duplicateValues", "arguments": {"properties": ["id", "kind"]}}
    assert found["id_not_null"] == none | {"metric": "nullValues", "arguments": {"properties": ["id"]}}
    assert found["kind_in_set"] == none | {
        "metric": "invalidValues",
        "arguments": {"properties": ["kind"], "validValues": ["a", "b"]},
    }


def test_each_limit_of_a_query_is_a_rule():
    written = {
        "type": "unexpected_rows_expectation",
        "why": "Low.",
        "unexpected_rows_query": "select * from {batch} where dose_mme < 1;",
        "max_failing_share": 0.07,
        "max_failing_rows": 5,
    }
    [table] = odcs.export(dose(expectations=[written])).schema_
    low = [rule for rule in table.quality if rule.name == "low"]
    assert [(rule.unit, rule.mustBeLessOrEqualTo) for rule in low] == [("percent", 7), ("rows", 5)]
    failing = "select count(*) from (select * from trajectory.dose where dose_mme < 1)"
    assert low[1].query == failing
    assert (
        low[0].query
        == f"select coalesce(100.0 * ({failing}) / nullif((select count(*) from (from trajectory.dose)), 0), 0)"
    )


def test_other_expectations_are_rules_of_their_engine():
    written = {
        "type": "expect_column_values_to_be_between",
        "column": "dose_mme",
        "max_value": 9,
        "max_failing_share": 0.01,
        "why": "High.",
    }
    assert rules(dose(expectations=[written]))["dose_mme_between_2"] == {
        "type": "custom",
        "engine": "great-expectations",
        "implementation": {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "dose_mme", "max_value": 9, "mostly": 0.99},
        },
    }


def test_rows_that_may_fail_of_a_rule_of_the_engine_are_its_own_property():
    written = {
        "type": "expect_column_values_to_be_between",
        "column": "dose_mme",
        "max_value": 9,
        "max_failing_rows": 7,
        "why": "High.",
    }
    found = rules(dose(expectations=[written]))["dose_mme_between_2"]
    assert found["customProperties"] == [{"property": "maxFailingRows", "value": 7}]
    assert "mostly" not in found["implementation"]["kwargs"]


def typed(type_: str) -> Contract:
    return dose(key=["a"], columns=[{"name": "a", "type": type_, "description": "A.", "required": True}])


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("TEXT", "string"),
        ("UUID", "string"),
        ("BLOB", "string"),
        ("INTERVAL", "string"),
        ("ENUM('a', 'b')", "string"),
        ("TIMESTAMPTZ", "timestamp"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("UINTEGER", "integer"),
        ("DECIMAL(9, 2)", "number"),
        ("INTEGER[3]", "array"),
    ],
)
def test_a_type_of_duckdb_has_one_in_the_standard(type_, said):
    [table] = odcs.export(typed(type_)).schema_
    assert table.properties[0].logicalType == said


@pytest.mark.parametrize("type_", ["UNION(a INTEGER)", "UNION(a INTEGER)[]"])
def test_a_type_that_the_standard_does_not_have_is_refused_in_one_line(type_):
    with pytest.raises(ContractError, match=r"^trajectory\.dose: the standard has no type for UNION.* of column a\. "):
        odcs.export(typed(type_))


def test_one_contract_or_all_of_them_are_written(tmp_path, monkeypatch):
    oih_export(out=tmp_path / "deep" / "patient.yaml", table="clean.patient")
    assert OpenDataContractStandard.from_file(str(tmp_path / "deep" / "patient.yaml")).name == "clean.patient"
    few = {"clean.patient": ALL["clean.patient"], "label.vote": ALL["label.vote"]}
    monkeypatch.setattr(contracts, "all_contracts", lambda: few)
    oih_export(out=tmp_path / "all", every=True)
    assert {file.name for file in (tmp_path / "all").iterdir()} == {f"{table}.odcs.yaml" for table in few}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"table": "clean.nobody"}, r"^clean\.nobody: has no contract\. Name one "),
        ({}, "needs either a table or --all"),
        ({"table": "clean.patient", "every": True}, "needs either a table or --all"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(tmp_path, arguments, said):
    with pytest.raises(PipelineError, match=said):
        oih_export(out=tmp_path / "x.yaml", **arguments)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match="cannot be written"):
        oih_export(out=tmp_path / "file" / "x.yaml", table="clean.patient")
