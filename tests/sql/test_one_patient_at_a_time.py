"""Whatever is derived depends on one patient at a time unless its file says otherwise: patients can be run in batches."""

import duckdb
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines import sql_files
from tests.sql import borderline, history

OF_THE_COHORT = {sql.table for sql in sql_files.tables() if sql.header["Scope"] == "cohort"}
BY_TEXT_OR_CODE = {"trajectory.drug_product", "trajectory.drug_code"}
OF_A_PATIENT = [table for table in history.DERIVED if table.name not in OF_THE_COHORT | BY_TEXT_OR_CODE]
# A rule that reads no table of the cohort speaks of one patient at a time, too.
RULES = [sql.rule for sql in sql_files.rules() if not OF_THE_COHORT & set(sql.reads)]


def built(rows: history.Rows, inside: set[int] | None = None) -> duckdb.DuckDBPyConnection:
    """All tables up to the votes, of some of the patients or of all; a source's feeds are the same for any of them."""
    if inside is not None:
        rows = {
            table: [row for row in found if row.get("patient_index", min(inside)) in inside]
            for table, found in rows.items()
        }
    return history.derived(rows, upto="label.vote")


def tables_of(connection: duckdb.DuckDBPyConnection) -> dict[str, pl.DataFrame]:
    found = {table.name: connection.sql(f"from {table.name}").pl() for table in OF_A_PATIENT}
    return found | {"label.vote": connection.sql(f"from label.vote where rule in {(*RULES,)}").pl()}


KEYS = {table.name: table.contract.key for table in OF_A_PATIENT} | {"label.vote": ["episode_id", "rule"]}


# A seed does not get simpler by getting smaller.
@pytest.mark.parametrize("histories", [history.histories, borderline.histories])
@settings(max_examples=2, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 2**32 - 1), half=st.sets(st.integers(0, 11), min_size=1, max_size=11))
def test_tables_built_on_two_halves_of_the_patients_and_joined_are_those_of_the_whole(histories, seed, half):
    rows = histories(seed, patients=12)
    whole = tables_of(built(rows))
    one, other = (tables_of(built(rows, inside)) for inside in (half, {*range(12)} - half))
    for name, key in KEYS.items():
        joined = pl.concat([one[name], other[name]])
        assert_frame_equal(joined.sort(key), whole[name].sort(key), rel_tol=1e-12, abs_tol=1e-12)


def test_most_rules_speak_of_one_patient_at_a_time():
    """The others beside them subtract what was to be expected of patients alike."""
    assert ["LF04", "LF05", "LF08", "LF09", "LF10", *(f"LF{number}" for number in range(14, 21))] == RULES


@pytest.mark.parametrize("name", [table.name for table in history.DERIVED])
def test_random_histories_leave_no_table_empty(name, derived):
    [[rows]] = derived.sql(f"select count(*) from {name}").fetchall()
    assert rows > 0


@pytest.fixture(scope="module")
def derived():
    return history.derived(history.histories(seed=0, patients=10))
