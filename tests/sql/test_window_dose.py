"""Mean dose of a window by either definition."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.window_dose"

WINDOW = drawn("start_date | end_date\n-\nD+0 | D+9", episode_id="a", patient_index=1, window_name="R")


def period(drawing: str) -> str:
    same = {"patient_index": 1} if "patient_index" not in drawing else {}
    return drawn(drawing, **same, **({} if "is_lower_bound" in drawing else {"is_lower_bound": False}))


HALF_COVERED = period("start_date | end_date | dose_mme\n-\nD+0 | D+1 | 30\nD+5 | D+7 | 80")


@pytest.mark.parametrize(("definition", "mean"), [("on_therapy_days", 60), ("window_days", 30)])
def test_the_mean_is_over_days_in_supply_or_over_all_days(check_sql, definition, mean):
    check_sql(
        TABLE,
        given={"episode.episode_window": WINDOW, "trajectory.dose_period": HALF_COVERED},
        settings={"dose_definition": definition},
        then=f"mean_mme | covered_days | max_mme | lower_bound_days\n-\n{mean} | 5 | 80 | 0",
    )


def test_only_the_days_inside_the_window_count(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_window": WINDOW,
            "trajectory.dose_period": period(
                """
                start_date | end_date | dose_mme
                -----------+----------+---------
                D-30       | D-1      | 900
                D-1        | D+0      | 10
                D+9        | D+30     | 30
                D+10       | D+40     | 900
                """
            ),
        },
        then="mean_mme | covered_days | max_mme\n-\n20 | 2 | 30",
    )


def test_a_period_longer_than_the_window_covers_all_of_it(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_window": WINDOW,
            "trajectory.dose_period": period("start_date | end_date | dose_mme\n-\nD-100 | D+100 | 45"),
        },
        then="mean_mme | covered_days | max_mme\n-\n45 | 10 | 45",
    )


@pytest.mark.parametrize("definition", ["on_therapy_days", "window_days"])
def test_a_window_without_supply_keeps_its_row_and_has_no_dose(check_sql, definition):
    check_sql(
        TABLE,
        given={
            "episode.episode_window": WINDOW,
            "trajectory.dose_period": period("patient_index | start_date | end_date | dose_mme\n-\n2 | D+0 | D+9 | 30"),
        },
        settings={"dose_definition": definition},
        then="""
            episode_id | patient_index | window_name | mean_mme | max_mme | covered_days | lower_bound_days
            -----------+---------------+-------------+----------+---------+--------------+-----------------
            a          | 1             | R           |          |         | 0            | 0
        """,
    )


def test_days_of_unknown_dose_are_counted(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_window": WINDOW,
            "trajectory.dose_period": period(
                """
                start_date | end_date | dose_mme | is_lower_bound
                -----------+----------+----------+---------------
                D-5        | D+2      | 30       | true
                D+3        | D+9      | 30       | false
                """
            ),
        },
        then="mean_mme | covered_days | lower_bound_days\n-\n30 | 10 | 3",
    )


def test_windows_that_overlap_each_have_all_their_days(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_window": drawn(
                """
                episode_id | window_name | start_date | end_date
                -----------+-------------+------------+---------
                a          | B0          | D+0        | D+9
                b          | B1          | D+5        | D+14
                """,
                patient_index=1,
            ),
            "trajectory.dose_period": period("start_date | end_date | dose_mme\n-\nD+0 | D+6 | 30\nD+7 | D+14 | 60"),
        },
        then="episode_id | covered_days | mean_mme\n-\na | 10 | 39\nb | 10 | 54",
    )
