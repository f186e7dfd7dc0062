"""One row per episode: changes of pain and dose, the grade of the data, and why an episode cannot be judged."""

import math

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "episode.episode_change"

PAIN = """
    window_name | mean_nrs | standard_error_nrs | weekly_sd_nrs | scored_week_count | score_count
    ------------+----------+--------------------+---------------+-------------------+------------
    B1          | 4        | 0.4                | 1.1           | 20                | 30
    B0          | 5        | 0.6                | 1.2           | 9                 | 12
    E           | 4.5      | 0.8                | 1.3           | 3                 | 4
    R           | 7        | 0.3                | 1.4           | 6                 | 8
    R2          | 6        | 0.5                | 1.5           | 10                | 11
"""
DOSE = """
    window_name | mean_mme | lower_bound_days
    ------------+----------+-----------------
    B1          | 40       | 0
    B0          | 50       | 0
    E           | 80       | 0
    R           | 80       | 0
    R2          | 80       | 0
"""


def episode(**values: object) -> str:
    same = {"patient_index": 1, "index_date": "D+0", "follow_up_days": 400} | values
    return drawn("episode_id\n-\na", **{name: value for name, value in same.items() if value is not None})


def weeks(**scored: int) -> str:
    """Five windows of mean pain 5, with these scored weeks."""
    counted = {"B1": 9, "B0": 9, "E": 9, "R": 9, "R2": 9} | scored
    rows = "\n".join(f"{name} | {count} | {count}" for name, count in counted.items())
    return drawn(f"window_name | scored_week_count | score_count\n-\n{rows}", episode_id="a", mean_nrs=5)


@pytest.fixture
def check(check_sql):
    def check(then: str, pain: str = PAIN, dose: str = DOSE, period: str = "", **values: object) -> None:
        given = {
            "episode.episode": episode(**values),
            "episode.window_pain": pain if "episode_id" in pain else drawn(pain, episode_id="a") if pain else "",
            "episode.window_dose": drawn(dose, episode_id="a") if dose else "",
            "trajectory.dose_period": period,
        }
        check_sql(TABLE, given=given, then=then)

    return check


def test_the_windows_of_an_episode_stand_side_by_side(check):
    check(
        drawn(
            "episode_id | data_grade | excluded_reason | not_classifiable_reason\n-\na | A | |",
            distal_nrs=4,
            proximal_nrs=5,
            early_nrs=4.5,
            response_nrs=7,
            late_nrs=6,
            distal_se_nrs=0.4,
            proximal_se_nrs=0.6,
            early_se_nrs=0.8,
            response_se_nrs=0.3,
            late_se_nrs=0.5,
            distal_sd_nrs=1.1,
            response_sd_nrs=1.4,
            early_score_count=4,
            distal_week_count=20,
            proximal_week_count=9,
            response_week_count=6,
            late_week_count=10,
            distal_mme=40,
            proximal_mme=50,
            response_mme=80,
        )
    )


def test_changes_are_the_later_window_less_the_earlier(check):
    check(
        drawn(
            """
            distal_change_nrs | proximal_change_nrs | early_change_nrs | late_change_nrs | response_to_distal_ratio
            ------------------+---------------------+------------------+-----------------+-------------------------
            3                 | 2                   | -0.5             | 1.5             | 2
            """,
            change_se_nrs=math.hypot(0.3, 0.4),
            early_change_se_nrs=math.hypot(0.8, 0.6),
        )
    )


def test_what_a_change_must_exceed_to_be_beyond_measurement_error_is_told(check):
    """1.645 standard errors of R - B1, here the root of 0.3 and 0.4 squared."""
    check("baseline_change_nrs | detectable_change_nrs\n-\n1 | 0.8225")


def test_a_change_of_exactly_a_threshold_reaches_it():
    """5.1 - 5.4 is a hair below -0.3 in binary, 4.1 - 3.1 a hair below 1, and 27.04 / 20.8 a hair below 1.3."""
    connection = select(
        TABLE,
        given={
            "episode.episode": episode(),
            "episode.window_pain": drawn(
                "window_name | mean_nrs\n-\nB1 | 5.4\nB0 | 5.4\nE | 3.1\nR | 5.1\nR2 | 4.1", episode_id="a"
            ),
            "episode.window_dose": drawn("window_name | mean_mme\n-\nB1 | 20.8\nR | 27.04", episode_id="a"),
        },
    )
    reached = connection.sql(
        f"select proximal_change_nrs >= -0.3::double, late_change_nrs >= 1, response_to_distal_ratio >= 1.3::double "
        f"from {TABLE}"
    ).fetchall()
    assert reached == [(True, True, True)]


@pytest.mark.parametrize(
    ("scored", "fewest", "grade"),
    [
        ({}, 9, "A"),
        ({"B1": 5}, 5, "A"),
        ({"B1": 4}, 4, "B"),
        ({"B0": 5}, 5, "A"),
        ({"B0": 4}, 4, "B"),
        ({"R": 4}, 4, "B"),
        ({"R": 3}, 3, "B"),
        ({"R": 2}, 2, "C"),
        ({"R": 1}, 1, ""),
        # E and R2 are not among the windows that the change is read from
        ({"E": 0, "R2": 0}, 9, "A"),
    ],
)
def test_the_grade_is_that_of_the_window_with_the_fewest_scored_weeks(check, scored, fewest, grade):
    check(f"fewest_scored_weeks | data_grade\n-\n{fewest} | {grade}", pain=weeks(**scored))


@pytest.mark.parametrize(
    ("scored", "reason"),
    [
        ({"B1": 2, "B0": 2, "R": 2}, ""),
        ({"B1": 1}, "too_few_scores_distal"),
        ({"B0": 1}, "too_few_scores_proximal"),
        ({"R": 1}, "too_few_scores_response"),
        ({"B1": 0, "B0": 0, "R": 0}, "too_few_scores_distal"),
    ],
)
def test_an_episode_needs_two_scored_weeks_in_every_window(check, scored, reason):
    check(f"episode_id | not_classifiable_reason\n-\na | {reason}", pain=weeks(**scored))


@pytest.mark.parametrize(("days", "reason"), [(90, ""), (89, "follow_up_too_short"), (None, "follow_up_too_short")])
def test_an_episode_needs_90_days_of_follow_up(check, days, reason):
    check(f"episode_id | not_classifiable_reason\n-\na | {reason}", follow_up_days=days)


@pytest.mark.parametrize(
    ("window", "days", "reason"),
    [
        ("B1", 27, ""),
        ("B1", 28, "dose_unknown"),
        ("R", 5, ""),
        ("R", 6, "dose_unknown"),
        ("B0", 90, ""),
        ("E", 22, ""),
        ("R2", 90, ""),
    ],
)
def test_an_unknown_dose_on_more_than_a_tenth_of_b1_or_r_leaves_the_ratio_unknown(check, window, days, reason):
    dose = "\n".join(
        line[: line.rindex("0")] + str(days) if line.strip().startswith(f"{window} ") else line
        for line in DOSE.splitlines()
    )
    check(f"episode_id | not_classifiable_reason\n-\na | {reason}", dose=dose)


@pytest.mark.parametrize(("distal", "response"), [("", "80"), ("0", "80"), ("40", ""), ("40", "0")])
def test_without_a_dose_in_b1_or_r_there_is_no_ratio(check, distal, response):
    dose = f"window_name | mean_mme\n-\nB1 | {distal}\nR | {response}"
    check("episode_id | not_classifiable_reason\n-\na | no_dose_in_window", dose=dose)


@pytest.mark.parametrize(
    ("supply", "reason"),
    [
        ("D+0 | D+60", ""),
        ("D+0 | D+59", "therapy_ended"),
        # what comes after day 90 cannot tell that it had not ended
        ("D+0 | D+59\nD+91 | D+200", "therapy_ended"),
        ("D+0 | D+40\nD+90 | D+200", ""),
        ("D+0 | D+200", ""),
    ],
)
def test_therapy_goes_on_through_the_response_window_but_for_a_bridged_gap(check, supply, reason):
    check(
        f"episode_id | not_classifiable_reason\n-\na | {reason}",
        period=drawn(f"start_date | end_date\n-\n{supply}", patient_index=1, dose_mme=60),
    )


def test_only_the_first_reason_is_named(check):
    ended = drawn("start_date | end_date\n-\nD+0 | D+50", patient_index=1)
    nothing = {"pain": weeks(B1=0, B0=0, R=0), "dose": "window_name | lower_bound_days\n-\nB1 | 28"}
    then = "episode_id | not_classifiable_reason\n-\na | "
    check(then + "follow_up_too_short", **nothing, period=ended, follow_up_days=10)
    check(then + "therapy_ended", **nothing, period=ended)
    check(then + "too_few_scores_distal", **nothing)
    check(then + "too_few_scores_proximal", **nothing | {"pain": weeks(B0=0, R=0)})
    check(then + "too_few_scores_response", **nothing | {"pain": weeks(R=0)})
    check(then + "dose_unknown", **nothing | {"pain": weeks()})


def test_an_episode_without_any_window_keeps_its_row(check):
    check(
        "episode_id | data_grade | distal_change_nrs | not_classifiable_reason\n-\na | | | too_few_scores_distal",
        pain="",
        dose="",
    )


def test_why_an_episode_is_outside_the_cohort_is_kept(check):
    check("excluded_reason | not_classifiable_reason\n-\nunder_age |", excluded_reason="under_age")


def test_two_episodes_of_a_patient_keep_their_windows_apart(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode": drawn("episode_id\n-\na\nb", patient_index=1, index_date="D+0", follow_up_days=400),
            "episode.window_pain": drawn(
                """
                episode_id | window_name | mean_nrs
                -----------+-------------+---------
                a          | B1          | 4
                a          | R           | 5
                b          | B1          | 6
                b          | R           | 9
                """
            ),
        },
        then="episode_id | distal_change_nrs\n-\na | 1\nb | 3",
    )
