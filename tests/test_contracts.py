"""What a contract says of itself: its version, its owner, and that no column changes in silence."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from pipelines import contracts, tables
from pipelines.cli import intake
from pipelines.contracts import Contract

ALL = contracts.all_contracts()
DOSE = {"name": "dose_mme", "type": "DOUBLE", "description": "Dose.", "unit": "MME", "minimum": 0}


def dose(fingerprint: str = "00000000", version: str = "1.0.0", **changed: object) -> Contract:
    return Contract.model_validate(
        {
            "table": "trajectory.dose",
            "version": version,
            "changelog": [
                {"version": "1.0.0", "date": "2026-01-01", "fingerprint": fingerprint, "change": "First version."}
            ],
            "description": "Doses.",
            "key": ["dose_mme"],
            "columns": [DOSE | changed],
        }
    )


@pytest.mark.parametrize("contract", ALL.values(), ids=lambda contract: contract.table)
def test_a_contract_states_its_version_its_owner_and_every_change_of_it(contract):
    assert contract.model_fields_set >= {"version", "owner", "changelog"}
    assert contract.unrecorded_change is None
    versions = [tuple(map(int, change.version.split("."))) for change in contract.changelog]
    assert versions == sorted(set(versions), reverse=True)
    assert all(change.change.endswith(".") for change in contract.changelog)


@pytest.mark.parametrize("contract", ALL.values(), ids=lambda contract: contract.table)
def test_a_key_of_one_column_is_required(contract):
    required = {column.name for column in contract.columns if column.required}
    assert len(contract.key) != 1 or required >= set(contract.key)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "dose"},
        {"type": "INTEGER"},
        {"unit": "mg"},
        {"required": True},
        {"minimum": 1},
        {"maximum": 9},
        {"values": ["1"]},
        {"delivered_as": "DOSE"},
        {"may_be_missing": True},
    ],
)
def test_a_column_that_changes_without_a_new_version_is_told_with_what_to_write(changed):
    known = dose().fingerprint
    assert dose(known).unrecorded_change is None
    if "name" in changed:
        contract = dose(known).model_copy(update={"columns": [contracts.Column(**(DOSE | changed))]})
    else:
        contract = dose(known, **changed)
    assert contract.fingerprint != known
    assert contract.unrecorded_change.startswith("trajectory.dose: its columns, checks or version are not those of ")
    assert f"fingerprint: '{contract.fingerprint}'" in contract.unrecorded_change


BETWEEN = {
    "type": "expect_column_values_to_be_between",
    "column": "dose_mme",
    "max_value": 90,
    "max_failing_rows": 1,
    "why": "Doses are low.",
}


def checked(**changed: object) -> Contract:
    return Contract.model_validate(dose().model_dump() | {"expectations": [BETWEEN | changed]})


@pytest.mark.parametrize(
    "changed",
    [
        {"max_value": 91},
        {"max_failing_rows": 2},
        {"max_failing_share": 0.5},
        {"severity": "warning"},
        {"type": "expect_column_max_to_be_between"},
    ],
)
def test_a_check_that_changes_needs_a_new_version_and_no_new_delivery(changed):
    assert checked(**changed).fingerprint != checked().fingerprint
    assert checked(**changed).columns_fingerprint == checked().columns_fingerprint
    assert checked(why="Doses are never high.").fingerprint == checked().fingerprint
    assert dose().fingerprint != checked().fingerprint


def test_a_change_without_an_entry_is_a_warning_of_one_line(monkeypatch):
    loose = ALL["clean.patient"].model_copy(update={"max_quarantined_share": 0.5})
    known = [SimpleNamespace(contract=contract) for contract in (None, ALL["clean.prescription"], loose)]
    monkeypatch.setattr(tables, "of", lambda study: known)
    [line] = intake.unrecorded_changes(None)
    assert line.startswith("warning: clean.patient: its columns, checks or version are not those of the newest entry")
    assert "\n" not in line


def test_more_rows_in_quarantine_need_a_new_version():
    assert dose().model_copy(update={"max_quarantined_share": 0.5}).fingerprint != dose().fingerprint


def test_other_words_for_a_column_need_no_new_version():
    assert dose(description="The dose.").fingerprint == dose().fingerprint


def test_another_version_needs_an_entry_of_its_own():
    known = dose().fingerprint
    assert dose(known, version="1.0.1").unrecorded_change is not None


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", "one"])
def test_a_version_is_three_numbers(version):
    with pytest.raises(ValidationError):
        dose(version=version)
