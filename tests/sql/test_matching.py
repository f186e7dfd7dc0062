"""Tables that match episodes by pain look for them in cells of pain, so that time does not grow with their square."""

import json

import pytest

from tests.conftest import PARAMETERS, select, sql_file

SHIFTED = {"shifted_sources": ["north"]}  # then no calendar month keeps the pairs few


def comparisons(plan: list[dict]) -> list[str]:
    """The conditions of all joins of a plan."""
    found = []
    for node in plan:
        conditions = node.get("extra_info", {}).get("Conditions", [])
        found.append(" ".join([conditions] if isinstance(conditions, str) else conditions))
        found += comparisons(node["children"])
    return found


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("episode.expected_change", ("distal_cell", "proximal_cell")),
        ("episode.response_comparison", ("distal_cell", "proximal_cell")),
        ("episode.dechallenge_profile", ("distal_cell", "before_cell")),
    ],
)
def test_episodes_are_joined_on_cells_of_pain_and_nowhere_on_everything(table, cells):
    connection, sql = select(table, given={}, settings=SHIFTED), sql_file(table)
    values = {name: value for name, value in (PARAMETERS | SHIFTED).items() if name in sql.parameters}
    plan = json.loads(connection.execute(f"explain (format json) {sql.text}", values).fetchone()[1])
    equalities = comparisons(plan)
    assert any(all(f"{cell} = {cell}" in joined for cell in cells) for joined in equalities)
