"""Whatever is told of an episode by day 90 is told by records up to day 90: later ones may say what they like."""

from datetime import timedelta

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.sql import borderline, history

# What each table tells of an episode by day 90.
BY_DAY_90 = {
    "episode.episode": """
        select
            * exclude (step_count, follow_up_end_date, follow_up_days),
            least(follow_up_days, 90) as follow_up_days
        from episode.episode
    """,
    "episode.episode_window": "from episode.episode_window where window_name <> 'R2'",
    "episode.window_pain": "from episode.window_pain where window_name <> 'R2'",
    "episode.window_dose": "from episode.window_dose where window_name <> 'R2'",
    "episode.episode_change": """
        select * exclude (
            step_count, follow_up_end_date, follow_up_days,
            late_nrs, late_se_nrs, late_week_count, late_change_nrs
        )
        from episode.episode_change
    """,
    "episode.expected_change": "from episode.expected_change",
    "episode.covariate": "from episode.covariate",
    "episode.subgroup": "from episode.subgroup",
    "episode.stable_trend": "from episode.stable_trend",
    "episode.dose_pain_slope": "from episode.dose_pain_slope",
    "episode.nearest_event": "from episode.nearest_event",
    "episode.refill_cycle": "from episode.refill_cycle",
    "episode.feature": "from episode.feature",
    "label.vote": """
        from label.vote
        where rule in (
            'LF01', 'LF02', 'LF04', 'LF10', 'LF13', 'LF15', 'LF17', 'LF18', 'LF19', 'LF20'
        )
    """,
    # Where another opioid was begun, a cut may turn out to be a rotation as late as 30 days after it.
    "label.vote, LF09": """
        select vote.*
        from label.vote
        inner join episode.episode as episode using (episode_id)
        where
            rule = 'LF09'
            and 1 = (
                select count(distinct ingredient) from trajectory.record_dose as record
                where record.patient_index = episode.patient_index and record.start_date <= index_date + 90
            )
    """,
    "label.vote, LF05": """
        select episode_id, list_filter(evidence, lambda item: contains(item['name'], 'by the end of R'))
        from label.vote where rule = 'LF05'
    """,
}
GROUPS = 24


def cohort(seed: int) -> history.Rows:
    """Patients in groups that are matched among themselves only, so that one of a group can be rewritten alone."""
    rows = borderline.histories(seed, patients=4 * GROUPS)
    for table in ("clean.patient", *history.DATED_BY):
        for row in rows[table]:
            row["source"] = f"{row['source']} {row['patient_index'] % GROUPS}"
    rows["clean.source_coverage"] = [
        row | {"source": f"{row['source']} {group}"} for row in rows["clean.source_coverage"] for group in range(GROUPS)
    ]
    return rows


def built(rows: history.Rows) -> duckdb.DuckDBPyConnection:
    return history.derived(rows, upto="label.vote")


def index_dates(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    """The first episode of the first patient of each group, if it is in the cohort."""
    return connection.sql(
        f"""
        select arg_min(episode_id, index_date), patient_index, min(index_date)
        from episode.episode
        where patient_index < {GROUPS} and index_kind in ('dose_led', 'sham_gabapentinoid')
        group by patient_index
        """
    ).fetchall()


# A seed does not get simpler by getting smaller.
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 2**32 - 1))
def test_no_record_dated_after_day_90_changes_what_is_told_by_day_90(seed):
    rows = cohort(seed)
    before = built(rows)
    first = index_dates(before)
    last_day = {patient: index_date + timedelta(days=90) for _, patient, index_date in first}
    after = built(history.rewritten_after(rows, last_day, seed))
    names = [name for name, *_ in first]
    for table, told in BY_DAY_90.items():
        query = f"select * from ({told}) where list_contains(?, episode_id) order by all"
        then, now = (connection.execute(query, [names]).fetchall() for connection in (before, after))
        assert then == now, table


@pytest.mark.parametrize("table", BY_DAY_90)
def test_there_is_something_to_be_told(table, one):
    connection, names = one
    query = f"select count(*) from ({BY_DAY_90[table]}) where list_contains(?, episode_id)"
    [[rows]] = connection.execute(query, [names]).fetchall()
    assert rows >= 3


@pytest.fixture(scope="module")
def one():
    connection = built(cohort(seed=0))
    return connection, [name for name, *_ in index_dates(connection)]
