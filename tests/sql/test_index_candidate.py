"""Days that may begin an episode without a rise of the opioid dose."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.index_candidate"


def test_a_maintainers_dates_are_the_first_fills_of_each_month(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.record_dose": """
                patient_index | start_date | is_in_timeline
                --------------+------------+---------------
                1             | 2021-01-04 | true
                1             | 2021-01-31 | true
                1             | 2021-02-01 | true
                1             | 2021-03-01 | false
                2             | 2021-01-20 | true
            """
        },
        then="""
            patient_index | index_kind      | index_date
            --------------+-----------------+-----------
            1             | sham_maintainer | 2021-01-04
            1             | sham_maintainer | 2021-02-01
            2             | sham_maintainer | 2021-01-20
        """,
    )


@pytest.mark.parametrize(
    ("records", "dates"),
    [
        ("gabapentin | D+0 | 900", ["D+0"]),  # begun
        ("gabapentin | D+0 | 900\ngabapentin | D+30 | 900", ["D+0"]),
        ("gabapentin | D+0 | 900\ngabapentin | D+30 | 1080", ["D+0", "D+30"]),  # a fifth more
        ("gabapentin | D+0 | 900\ngabapentin | D+30 | 1079", ["D+0"]),
        ("gabapentin | D+0 | 900\ngabapentin | D+30 | 600", ["D+0"]),
        ("gabapentin | D+0 | 900\ngabapentin | D+90 | 900", ["D+0"]),
        ("gabapentin | D+0 | 900\ngabapentin | D+91 | 900", ["D+0", "D+91"]),  # begun again
        ("gabapentin | D+0 | 900\npregabalin | D+30 | 150", ["D+0", "D+30"]),
        ("gabapentin | D+0 |\ngabapentin | D+30 | 900", ["D+0"]),  # nobody knows whether it rose
    ],
)
def test_a_gabapentinoid_is_escalated_when_begun_or_raised_by_a_fifth(check_sql, records, dates):
    check_sql(
        TABLE,
        given={
            "trajectory.adjuvant_dose": drawn(
                f"ingredient | start_date | daily_mg\n-\n{records}", patient_index=1, drug_class="gabapentinoid"
            )
        },
        then=drawn("index_date\n-\n" + "\n".join(dates), index_kind="sham_gabapentinoid"),
    )


def test_two_strengths_begun_on_one_day_are_one_dose(check_sql):
    check_sql(
        TABLE,
        given={
            "trajectory.adjuvant_dose": drawn(
                """
                start_date | daily_mg
                -----------+---------
                D+0        | 300
                D+0        | 600
                D+30       | 900
                """,
                patient_index=1,
                drug_class="gabapentinoid",
                ingredient="gabapentin",
            )
        },
        then=drawn("index_date\n-\nD+0"),
    )


@pytest.mark.parametrize(("late", "rows"), [(6, "pain_led | D+0"), (5.9, ""), ("", "")])
def test_pain_leads_where_it_is_two_points_higher_in_r2_than_in_b1(check_sql, late, rows):
    check_sql(
        TABLE,
        given={"episode.pain_rise": drawn(f"late_nrs\n-\n{late}", patient_index=1, index_date="D+0", distal_nrs=4)},
        then=drawn(f"index_kind | index_date\n-\n{rows}"),
    )
