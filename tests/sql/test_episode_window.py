"""First and last day of every window, and whether it was observed to its end."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.episode_window"


def episode(follow_up_days: object = 400) -> str:
    return drawn(f"follow_up_days\n-\n{follow_up_days}", episode_id="a", patient_index=1, index_date="D+0")


def test_the_windows_begin_and_end_on_these_days(check_sql):
    check_sql(
        TABLE,
        given={"episode.episode": episode()},
        then=drawn(
            """
            window_name | start_date | end_date
            ------------+------------+---------
            B1          | D-365      | D-91
            B0          | D-90       | D-1
            E           | D+14       | D+35
            R           | D+36       | D+90
            R2          | D+91       | D+180
            """,
            episode_id="a",
            patient_index=1,
            is_observed=True,
        ),
    )


def test_the_days_are_settings(check_sql):
    check_sql(
        TABLE,
        given={"episode.episode": episode()},
        settings={
            "distal_from_day": -300,
            "distal_to_day": -61,
            "proximal_from_day": -60,
            "proximal_to_day": -2,
            "early_from_day": 10,
            "early_to_day": 20,
            "response_from_day": 21,
            "response_to_day": 80,
            "late_from_day": 81,
            "late_to_day": 160,
        },
        then=drawn(
            """
            window_name | start_date | end_date
            ------------+------------+---------
            B1          | D-300      | D-61
            B0          | D-60       | D-2
            E           | D+10       | D+20
            R           | D+21       | D+80
            R2          | D+81       | D+160
            """
        ),
    )


@pytest.mark.parametrize(
    ("days", "observed"),
    [
        (180, "B1 B0 E R R2"),
        (179, "B1 B0 E R"),
        (90, "B1 B0 E R"),
        (89, "B1 B0 E"),
        (35, "B1 B0 E"),
        (34, "B1 B0"),
        ("", ""),
    ],
)
def test_a_window_is_observed_if_follow_up_reaches_its_last_day(check_sql, days, observed):
    rows = "\n".join(f"{name} | {str(name in observed.split()).lower()}" for name in ("B1", "B0", "E", "R", "R2"))
    check_sql(
        TABLE,
        given={"episode.episode": episode(days) if days else drawn("episode_id\n-\na", patient_index=1)},
        then=f"window_name | is_observed\n-\n{rows}",
    )


def test_every_episode_has_every_window(check_sql):
    check_sql(
        TABLE,
        given={"episode.episode": drawn("episode_id | index_date\n-\na | D+0\nb | D+100", patient_index=1)},
        then=drawn(
            """
            episode_id | window_name | start_date
            -----------+-------------+-----------
            a          | B1          | D-365
            a          | B0          | D-90
            a          | E           | D+14
            a          | R           | D+36
            a          | R2          | D+91
            b          | B1          | D-265
            b          | B0          | D+10
            b          | E           | D+114
            b          | R           | D+136
            b          | R2          | D+191
            """
        ),
    )
