"""What a contract says of itself: its version, its owner, and that no column changes in silence."""

import pytest
from pydantic import ValidationError

from pipelines import contracts
from pipelines.contracts import Contract

ALL = contracts.all_contracts()
DOSE = {"name": "dose_mme", "type": "DOUBLE", "description": "Dose.", "unit": "MME", "minimum": 0}


def dose(columns: str = "00000000", version: str = "1.0.0", **changed: object) -> Contract:
    return Contract.model_validate(
        {
            "table": "trajectory.dose",
            "version": version,
            "changelog": [{"version": "1.0.0", "date": "2026-01-01", "columns": columns, "change": "First version."}],
            "description": "Doses.",
            "key": ["dose_mme"],
            "columns": [DOSE | changed],
        }
    )


@pytest.mark.parametrize("contract", ALL.values(), ids=lambda contract: contract.table)
def test_a_contract_states_its_version_its_owner_and_every_change_of_its_columns(contract):
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
    known = dose().columns_fingerprint
    assert dose(known).unrecorded_change is None
    if "name" in changed:
        contract = dose(known).model_copy(update={"columns": [contracts.Column(**(DOSE | changed))]})
    else:
        contract = dose(known, **changed)
    assert contract.columns_fingerprint != known
    assert contract.unrecorded_change.startswith("trajectory.dose: its columns or its version are not those of ")
    assert f"columns: '{contract.columns_fingerprint}'" in contract.unrecorded_change


def test_other_words_for_a_column_need_no_new_version():
    assert dose(description="The dose.").columns_fingerprint == dose().columns_fingerprint


def test_another_version_needs_an_entry_of_its_own():
    known = dose().columns_fingerprint
    assert dose(known, version="1.0.1").unrecorded_change is not None


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", "one"])
def test_a_version_is_three_numbers(version):
    with pytest.raises(ValidationError):
        dose(version=version)
