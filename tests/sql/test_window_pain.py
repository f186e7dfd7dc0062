"""Mean pain of a window: which scores count and how they are added up."""

import math

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.window_pain"

EPISODE = drawn("index_date\n-\nD+0", episode_id="a", patient_index=1)
WINDOWS = drawn(
    """
    window_name | start_date | end_date
    ------------+------------+---------
    B1          | D-365      | D-91
    B0          | D-90       | D-1
    R           | D+36       | D+90
    R2          | D+91       | D+180
    """,
    episode_id="a",
    patient_index=1,
)


def window(name: str) -> str:
    header, ruler, *rows = WINDOWS.splitlines()
    return "\n".join([header, ruler, *(row for row in rows if row.startswith(f"{name} "))])


def pain(drawing: str, **values: object) -> str:
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {"patient_index": 1, "setting": "outpatient", "score_count": 1, "is_masked": False} | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    def check(days: str, then: str, windows: str = WINDOWS, **settings: float) -> None:
        given = {"episode.episode": EPISODE, "episode.episode_window": windows, "trajectory.pain_day": days}
        check_sql(TABLE, given=given, then=then, settings=settings)

    return check


def test_a_window_counts_its_first_and_its_last_day(check):
    check(
        pain(
            """
            score_date | pain_nrs
            -----------+---------
            D-366      | 9
            D-365      | 1
            D-91       | 3
            D-90       | 4
            D-1        | 6
            D+0        | 9
            D+35       | 9
            D+36       | 7
            D+90       | 9
            D+91       | 2
            D+180      | 4
            D+181      | 9
            """
        ),
        """
        window_name | mean_nrs | scored_week_count | score_count
        ------------+----------+-------------------+------------
        B1          | 2        | 2                 | 2
        B0          | 5        | 2                 | 2
        R           | 8        | 2                 | 2
        R2          | 3        | 2                 | 2
        """,
    )


def test_the_mean_is_over_weekly_medians_of_days(check):
    """Week one has the days 2, 3 and 10 (median 3), week two the day 5: their mean is 4."""
    check(
        pain(
            """
            score_date | pain_nrs | score_count
            -----------+----------+------------
            D-28       | 2        | 1
            D-27       | 3        | 5
            D-22       | 10       | 1
            D-21       | 5        | 1
            """
        ),
        f"""
        mean_nrs | scored_week_count | score_count | weekly_sd_nrs | standard_error_nrs
        ---------+-------------------+-------------+---------------+-------------------
        4        | 2                 | 8           | {math.sqrt(2)} | {1.8 / math.sqrt(2)}
        """,
        windows=window("B0"),
    )


def test_a_week_that_two_windows_share_counts_in_both_by_its_own_days(check):
    """Days -91 and -90 are the Monday and the Tuesday of one week."""
    check(
        pain("score_date | pain_nrs\n-\nD-91 | 2\nD-90 | 8"),
        """
        window_name | mean_nrs | scored_week_count
        ------------+----------+------------------
        B1          | 2        | 1
        B0          | 8        | 1
        R           |          | 0
        R2          |          | 0
        """,
    )


def test_a_window_without_scores_keeps_its_row_and_knows_no_mean(check):
    check(
        "",
        """
        episode_id | patient_index | scored_week_count | score_count | mean_nrs | weekly_sd_nrs | standard_error_nrs
        -----------+---------------+-------------------+-------------+----------+---------------+-------------------
        a          | 1             | 0                 | 0           |          |               |
        """,
        windows=window("R"),
    )


def test_one_week_has_a_standard_error_but_no_sd(check):
    check(
        pain("score_date | pain_nrs\n-\nD+40 | 5"),
        "mean_nrs | weekly_sd_nrs | standard_error_nrs\n-\n5 | | 1.2",
        windows=window("R"),
        within_person_sd_nrs=1.2,
    )


@pytest.mark.parametrize("setting", ["inpatient", "icu", "emergency"])
def test_only_outpatient_scores_count(check, setting):
    check(
        pain(f"score_date | setting | pain_nrs\n-\nD+40 | outpatient | 4\nD+40 | {setting} | 10"),
        "mean_nrs | score_count\n-\n4 | 1",
        windows=window("R"),
    )


def test_scores_of_an_unknown_setting_count_where_the_study_says_so(check):
    days = pain("score_date | setting | pain_nrs\n-\nD+40 | outpatient | 4\nD+47 | unknown | 8\nD+54 | icu | 10")
    check(days, "mean_nrs\n-\n4", windows=window("R"))
    check(days, "mean_nrs\n-\n6", windows=window("R"), pain_settings=["outpatient", "unknown"])
    check(days, "mean_nrs\n-\n8", windows=window("R"), pain_settings=["unknown"])


def test_masked_and_unknown_days_and_other_patients_count_nothing(check):
    check(
        pain(
            """
            patient_index | score_date | pain_nrs | score_count | is_masked | masked_by_date
            --------------+------------+----------+-------------+-----------+---------------
            1             | D+40       | 4        | 1           | false     |
            1             | D+41       | 10       | 1           | true      | D+30
            1             | D+42       |          | 0           | false     |
            2             | D+43       | 10       | 1           | false     |
            """
        ),
        "mean_nrs | scored_week_count | score_count\n-\n4 | 1 | 1",
        windows=window("R"),
    )


@pytest.mark.parametrize(("procedure", "weeks"), [("D+90", 0), ("D+91", 1)])
def test_until_day_90_only_procedures_until_day_90_mask(check, procedure, weeks):
    check(
        pain(f"masked_by_date\n-\n{procedure}", score_date="D+88", pain_nrs=5, is_masked=True),
        f"scored_week_count\n-\n{weeks}",
        windows=window("R"),
    )


def test_before_the_index_date_procedures_after_it_mask(check):
    check(
        pain("masked_by_date\n-\nD+2", score_date="D-2", pain_nrs=5, is_masked=True),
        "scored_week_count\n-\n0",
        windows=window("B0"),
    )


def test_after_day_90_every_procedure_masks(check):
    check(
        pain("masked_by_date\n-\nD+185", score_date="D+179", pain_nrs=5, is_masked=True),
        "scored_week_count\n-\n0",
        windows=window("R2"),
    )
