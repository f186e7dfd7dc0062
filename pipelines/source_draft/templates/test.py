"""The {{ source }} extract: its mappings, drawn.

Draw for each mapping the rows that were hard to decide; tests/sources/test_simulated.py shows how.
"""

import pytest

from pipelines import sql_files
from tests.conftest import select

MAPPINGS = [mapping.table for mapping in sql_files.mappings("{{ source }}")]


@pytest.mark.parametrize("table", MAPPINGS)
def test_a_mapping_gives_no_row_for_no_row(table):
    assert select(table, given={}).sql(f"from {table}").fetchall() == []
