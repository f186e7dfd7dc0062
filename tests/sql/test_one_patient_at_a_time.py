"""Whatever is derived up to the features depends on one patient at a time, so patients can be run in batches."""

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines import sql_files
from tests.sql import borderline, history

OF_THE_COHORT = {sql.table for sql in sql_files.tables() if sql.header["Scope"] == "cohort"}
# Rules that read no table of the cohort speak of one patient at a time, too.
OF_A_PATIENT = [sql for sql in sql_files.rules() if not OF_THE_COHORT & set(sql.reads)]
VOTES = f"from label.vote where rule in {tuple(sql.title_rule for sql in OF_A_PATIENT)}"


# A seed does not get simpler by getting smaller.
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 2**32 - 1), halves=st.sets(st.integers(0, 9), min_size=1, max_size=9))
def test_tables_built_on_two_halves_of_the_patients_and_joined_are_those_of_the_whole(seed, halves):
    rows = history.histories(seed, patients=10)
    whole = history.derived(rows)
    parts = [
        history.derived(
            {
                table: [row for row in found if (row["patient_index"] in halves) == inside]
                for table, found in rows.items()
            }
        )
        for inside in (True, False)
    ]
    for table in history.DERIVED:
        if table.name in ("trajectory.drug_product", "trajectory.drug_code"):  # by text or code, not by patient
            continue
        if table.name in OF_THE_COHORT:
            continue
        joined = pl.concat([part.sql(f"from {table.name}").pl() for part in parts])
        expected = whole.sql(f"from {table.name}").pl()
        key = table.contract.key
        assert_frame_equal(joined.sort(key), expected.sort(key), rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize("name", [table.name for table in history.DERIVED])
def test_random_histories_leave_no_table_empty(name, derived):
    [[rows]] = derived.sql(f"select count(*) from {name}").fetchall()
    assert rows > 0


@pytest.fixture(scope="module")
def derived():
    return history.derived(history.histories(seed=0, patients=10))
