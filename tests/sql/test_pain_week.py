"""Pain of a calendar week: the median of its days."""

from tests.sql.drawing import drawn

TABLE = "trajectory.pain_week"


def test_a_week_runs_from_monday_to_sunday(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_day": drawn(
                """
                score_date | pain_nrs
                -----------+---------
                D-1        | 1
                D+0        | 4
                D+6        | 6
                D+7        | 9
                """,
                patient_index=1,
                setting="outpatient",
                score_count=1,
                is_masked=False,
            )
        },
        then=drawn(
            """
            week_start_date | pain_nrs | score_count
            ----------------+----------+------------
            D-7             | 1        | 1
            D+0             | 5        | 2
            D+7             | 9        | 1
            """
        ),
    )


def test_a_burst_of_scores_on_one_day_weighs_as_one_day(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_day": drawn(
                """
                score_date | pain_nrs | score_count
                -----------+----------+------------
                D+0        | 9        | 40
                D+1        | 2        | 1
                D+2        | 3        | 1
                """,
                patient_index=1,
                setting="outpatient",
                is_masked=False,
            )
        },
        then=drawn("week_start_date | pain_nrs | score_count\n-\nD+0 | 3 | 42"),
    )


def test_settings_and_patients_are_kept_apart(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_day": drawn(
                """
                patient_index | setting    | pain_nrs
                --------------+------------+---------
                1             | outpatient | 2
                1             | inpatient  | 8
                2             | outpatient | 5
                """,
                score_date="D+0",
                score_count=1,
                is_masked=False,
            )
        },
        then="""
            patient_index | setting    | pain_nrs
            --------------+------------+---------
            1             | outpatient | 2
            1             | inpatient  | 8
            2             | outpatient | 5
        """,
    )


def test_masked_and_unknown_days_make_no_week(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_day": drawn(
                """
                score_date | pain_nrs | score_count | is_masked
                -----------+----------+-------------+----------
                D+0        | 9        | 1           | true
                D+1        | 4        | 1           | false
                D+2        |          | 0           | false
                D+7        |          | 0           | false
                D+14       | 9        | 1           | true
                """,
                patient_index=1,
                setting="outpatient",
            )
        },
        then=drawn("week_start_date | pain_nrs | score_count\n-\nD+0 | 4 | 1"),
    )
