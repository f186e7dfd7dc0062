"""The dose of each month of therapy, and whether the quarter and the year before it were stable."""

import pytest

from tests.sql.drawing import drawn

TABLE = "trajectory.therapy_month"
RUN = drawn("long_term_date\n-\nD+89", patient_index=1, start_date="D+0", end_date="D+900")


def periods(drawing: str) -> str:
    same = {} if "is_lower_bound" in drawing else {"is_lower_bound": False}
    head = "start_date | end_date | dose_mme" + (" | is_lower_bound" if "true" in drawing else "")
    same = {} if "true" in drawing else same
    return drawn(f"{head}\n-\n{drawing}", patient_index=1, **same)


@pytest.fixture
def check(check_sql):
    def check(period: str, then: str, last: str = "D+119", **settings: object) -> None:
        given = {
            "trajectory.dose_period": periods(period),
            "trajectory.follow_up": drawn("last_date\n-\n" + last, patient_index=1),
            "trajectory.therapy_run": RUN,
        }
        check_sql(TABLE, given=given, then=drawn(then), settings=settings)

    return check


def test_a_patient_has_each_whole_month_from_the_first_supply_to_the_end_of_follow_up(check):
    then = """
        month_number | start_date | end_date | covered_days | mean_mme | is_long_term
        -
        0            | D+0        | D+29     | 30           | 40       | false
        1            | D+30       | D+59     | 10           | 40       | false
        2            | D+60       | D+89     | 0            |          | false
        3            | D+90       | D+119    | 0            |          | true
    """
    check("D+0 | D+39 | 40", then)


def test_the_last_month_counts_only_when_it_is_whole(check):
    then = "month_number\n-\n0\n1\n2"
    check("D+0 | D+200 | 40", then, last="D+118")


def test_over_all_days_a_month_without_supply_has_a_mean_of_nothing(check):
    then = "month_number | mean_mme\n-\n0 | 20\n1 | 0"
    check("D+0 | D+14 | 40", then, last="D+59", dose_definition="window_days")


@pytest.mark.parametrize(
    ("first_month", "is_known", "is_stable"),
    [("30", "true", "true"), ("24", "true", "false"), ("27", "true", "true"), ("26.9", "true", "false")],
)
def test_a_quarter_is_stable_when_no_month_differs_from_its_mean_by_more_than_a_tenth(
    check, first_month, is_known, is_stable
):
    # 27, 31.5 and 31.5 have the mean 30, from which 27 differs by exactly a tenth.
    others = {"27": "31.5", "26.9": "31.55"}.get(first_month, "30")
    then = f"""
        month_number | is_quarter_known | is_quarter_stable
        -
        0            | false            | false
        1            | false            | false
        2            | false            | false
        3            | {is_known}       | {is_stable}
    """
    check(f"D+0 | D+29 | {first_month}\nD+30 | D+200 | {others}", then)


@pytest.mark.parametrize(("covered_until", "is_stable"), [("D+83", "true"), ("D+82", "false")])
def test_a_stable_quarter_has_supply_on_four_fifths_of_the_days_of_each_month(check, covered_until, is_stable):
    then = f"month_number | is_quarter_stable\n-\n0 | false\n1 | false\n2 | false\n3 | {is_stable}"
    check(f"D+0 | {covered_until} | 30", then)


def test_a_quarter_with_a_day_of_unknown_dose_is_not_known(check):
    then = "month_number | is_quarter_known | is_quarter_stable\n-\n0 | false | false\n1 | false | false"
    then += "\n2 | false | false\n3 | false | false"
    check("D+0 | D+10 | 30 | false\nD+11 | D+11 | 30 | true\nD+12 | D+200 | 30 | false", then)


def test_a_year_is_stable_after_twelve_months(check_sql):
    given = {
        "trajectory.dose_period": periods("D+0 | D+900 | 60"),
        "trajectory.follow_up": drawn("last_date\n-\nD+389", patient_index=1),
        "trajectory.therapy_run": RUN,
    }
    months = "\n".join(f"{month} | {'true' if month == 12 else 'false'}" for month in range(13))
    check_sql(TABLE, given=given, then=drawn(f"month_number | is_year_stable\n-\n{months}"))


def test_a_patient_whose_end_of_supply_cannot_be_seen_has_no_months(check_sql):
    given = {
        "trajectory.dose_period": periods("D+0 | D+900 | 60"),
        "trajectory.follow_up": "patient_index | last_date\n-\n1 |",
    }
    check_sql(TABLE, given=given, then="patient_index\n-")
