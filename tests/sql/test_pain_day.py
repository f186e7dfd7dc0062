"""Pain of a day: which scores count, and which days a procedure masks."""

import pytest

from tests.sql.drawing import drawn

TABLE = "trajectory.pain_day"


def test_the_scores_of_a_day_are_one_median_per_setting(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": """
                patient_index | scored_at           | is_counted | setting    | pain_nrs
                --------------+---------------------+------------+------------+---------
                1             | 2021-01-04 00:00:00 | true       | outpatient | 2
                1             | 2021-01-04 12:00:00 | true       | outpatient | 9
                1             | 2021-01-04 23:59:59 | true       | outpatient | 4
                1             | 2021-01-04 08:00:00 | true       | inpatient  | 10
                1             | 2021-01-05 00:00:00 | true       | outpatient | 5
                1             | 2021-01-05 01:00:00 | true       | outpatient | 6
                2             | 2021-01-04 00:00:00 | true       | outpatient | 0
            """
        },
        then="""
            patient_index | score_date | setting    | pain_nrs | score_count | unknown_count
            --------------+------------+------------+----------+-------------+--------------
            1             | 2021-01-04 | outpatient | 4        | 3           | 0
            1             | 2021-01-04 | inpatient  | 10       | 1           | 0
            1             | 2021-01-05 | outpatient | 5.5      | 2           | 0
            2             | 2021-01-04 | outpatient | 0        | 1           | 0
        """,
    )


def test_a_score_that_is_unknown_is_counted_but_is_never_zero(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": drawn(
                """
                patient_index | scored_at           | pain_nrs | unknown_reason
                --------------+---------------------+----------+---------------
                1             | 2021-01-04 08:00:00 | 8        |
                1             | 2021-01-04 09:00:00 |          | unable_to_score
                1             | 2021-01-05 08:00:00 |          | unable_to_score
                """,
                is_counted=True,
                setting="outpatient",
            )
        },
        then="""
            score_date | pain_nrs | score_count | unknown_count
            -----------+----------+-------------+--------------
            2021-01-04 | 8        | 1           | 1
            2021-01-05 |          | 0           | 1
        """,
    )


def test_a_score_that_the_study_does_not_count_is_no_part_of_a_day(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": drawn(
                """
                patient_index | scored_at           | is_counted | pain_nrs
                --------------+---------------------+------------+---------
                1             | 2021-01-04 08:00:00 | true       | 8
                1             | 2021-01-04 09:00:00 | false      | 2
                1             | 2021-01-05 09:00:00 | false      | 2
                """,
                setting="outpatient",
            )
        },
        then="""
            score_date | pain_nrs | score_count | unknown_count
            -----------+----------+-------------+--------------
            2021-01-04 | 8        | 1           | 0
        """,
    )


def scores_on(*days: str, patient: int = 1) -> str:
    rows = "\n".join(f"{patient} | {day} | 5" for day in days)
    return drawn(f"patient_index | scored_at | pain_nrs\n-\n{rows}", is_counted=True, setting="outpatient")


def surgery(*rows: str, kind: str = "surgery") -> str:
    return drawn("\n".join(["patient_index | event_date", "-", *rows]), kind=kind)


def test_an_operation_masks_from_7_days_before_to_90_days_after(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": scores_on("D-8", "D-7", "D+0", "D+90", "D+91"),
            "trajectory.acute_event": surgery("1 | D+0"),
        },
        then=drawn(
            """
            score_date | is_masked | masked_by_date
            -----------+-----------+---------------
            D-8        | false     |
            D-7        | true      | D+0
            D+0        | true      | D+0
            D+90       | true      | D+0
            D+91       | false     |
            """
        ),
    )


@pytest.mark.parametrize("setting", ["surgery_before_days", "surgery_after_days"])
def test_the_masked_days_are_settings(check_sql, setting):
    before, after = ("false", "true") if setting == "surgery_before_days" else ("true", "false")
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": scores_on("D-1", "D+1"),
            "trajectory.acute_event": surgery("1 | D+0"),
        },
        settings={setting: 0},
        then=drawn(f"score_date | is_masked\n-\nD-1 | {before}\nD+1 | {after}"),
    )


def test_a_day_masked_twice_is_one_row_and_names_the_earliest_operation(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": scores_on("D+0"),
            "trajectory.acute_event": surgery("1 | D+3", "1 | D-30"),
        },
        then=drawn("score_date | score_count | is_masked | masked_by_date\n-\nD+0 | 1 | true | D-30"),
    )


@pytest.mark.parametrize("kind", ["injection", "injury", "emergency_visit"])
def test_another_kind_of_event_masks_nothing(check_sql, kind):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": scores_on("D+0"),
            "trajectory.acute_event": surgery("1 | D+0", kind=kind),
        },
        then=drawn("score_date | is_masked | masked_by_date\n-\nD+0 | false |"),
    )


def test_another_patients_operation_masks_nothing(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": scores_on("D+0"),
            "trajectory.acute_event": surgery("2 | D+0"),
        },
        then=drawn("patient_index | score_date | is_masked\n-\n1 | D+0 | false"),
    )


@pytest.mark.parametrize(
    ("setting", "scored", "masked"),
    [
        ("unknown", "D-1", ""),
        ("unknown", "D+0", "D+0"),
        ("unknown", "D+5", "D+0"),
        ("unknown", "D+6", ""),
        ("unknown", "D+9", "D+9"),
        ("unknown", "D+10", ""),
        ("unknown", "D+30", ""),  # where the patient lives
        ("outpatient", "D+0", ""),  # the clinic that sent to hospital
        ("inpatient", "D+3", ""),  # not counted outside hospital anyway
    ],
)
def test_a_score_of_unknown_setting_is_masked_by_the_stay_or_emergency_visit_it_falls_in(
    check_sql, setting, scored, masked
):
    check_sql(
        TABLE,
        given={
            "trajectory.pain_reading": drawn(
                f"scored_at | setting\n-\n{scored} | {setting}", patient_index=1, is_counted=True, pain_nrs=5
            ),
            "trajectory.inpatient_stay": drawn(
                "setting | start_date | end_date\n-\ninpatient | D+0 | D+5\nlong_term_care | D+6 | D+8", patient_index=1
            ),
            "trajectory.acute_event": drawn("event_date\n-\nD+9", patient_index=1, kind="emergency_visit"),
        },
        then=drawn(f"setting | is_masked | masked_by_date\n-\n{setting} | {str(bool(masked)).lower()} | {masked}"),
    )
