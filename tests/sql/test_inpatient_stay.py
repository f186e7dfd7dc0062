"""Stays in hospital and in long-term care, transfers joined."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "trajectory.inpatient_stay"


@pytest.fixture
def check_stays(check_sql):
    def check(encounters: str, stays: str, **settings: int) -> None:
        header = "patient_index | start_date | end_date"
        check_sql(
            TABLE,
            given={"clean.encounter": drawn(f"{header}\n-\n{encounters}", setting="inpatient")},
            settings=settings,
            then=drawn(f"{header} | stay_days | is_end_known\n-\n{stays}"),
        )

    return check


def test_a_stay_lasts_from_its_first_to_its_last_day(check_stays):
    check_stays("1 | D+0 | D+6", "1 | D+0 | D+6 | 7 | true")
    check_stays("1 | D+0 | D+0", "1 | D+0 | D+0 | 1 | true")


@pytest.mark.parametrize(
    ("readmitted", "stays"),
    [
        ("D+6", "1 | D+0 | D+9 | 10 | true"),
        ("D+7", "1 | D+0 | D+9 | 10 | true"),
        ("D+8", "1 | D+0 | D+6 | 7 | true\n1 | D+8 | D+9 | 2 | true"),
    ],
)
def test_a_stay_that_follows_on_the_next_day_is_the_same(check_stays, readmitted, stays):
    check_stays(f"1 | D+0 | D+6\n1 | {readmitted} | D+9", stays)


def test_how_many_days_may_lie_between_is_a_setting(check_stays):
    check_stays("1 | D+0 | D+6\n1 | D+8 | D+9", "1 | D+0 | D+9 | 10 | true", stay_merge_days=2)
    check_stays("1 | D+0 | D+6\n1 | D+7 | D+9", "1 | D+0 | D+6 | 7 | true\n1 | D+7 | D+9 | 3 | true", stay_merge_days=0)


def test_a_short_stay_within_a_long_one_does_not_end_it(check_stays):
    check_stays("1 | D+0 | D+20\n1 | D+2 | D+3\n1 | D+15 | D+25", "1 | D+0 | D+25 | 26 | true")


@pytest.mark.parametrize("end", ["", "D-1"])
def test_an_end_that_is_missing_or_before_the_start_is_not_known(check_stays, end):
    check_stays(f"1 | D+0 | {end}", "1 | D+0 | D+0 | 1 | false")
    check_stays(f"1 | D+0 | {end}\n1 | D+1 | D+4", "1 | D+0 | D+4 | 5 | false")


def test_patients_do_not_share_a_stay(check_stays):
    check_stays("1 | D+0 | D+6\n2 | D+1 | D+2", "1 | D+0 | D+6 | 7 | true\n2 | D+1 | D+2 | 2 | true")


@pytest.mark.parametrize("setting", ["outpatient", "emergency", "hospice", "other", "unknown"])
def test_only_hospital_and_long_term_care_count(check_sql, setting):
    check_sql(
        TABLE,
        given={"clean.encounter": drawn("patient_index | start_date | end_date\n-\n1 | D+0 | D+6", setting=setting)},
        then=drawn("patient_index | start_date\n-\n"),
    )


def test_a_transfer_from_hospital_to_long_term_care_begins_a_stay_of_its_own(check_sql):
    stays = "setting | start_date | end_date\n-\ninpatient | D+0 | D+6\nlong_term_care | D+6 | D+20\nlong_term_care | D+21 | D+50"
    check_sql(
        TABLE,
        given={"clean.encounter": drawn(stays, patient_index=1)},
        then=drawn(
            "setting | start_date | end_date | stay_days\n-\n"
            "inpatient | D+0 | D+6 | 7\nlong_term_care | D+6 | D+50 | 45"
        ),
    )


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), min_size=1, max_size=12))
def test_stays_cover_the_days_of_their_parts_and_no_other_and_lie_apart(parts):
    first = date(2020, 1, 1)
    rows = [f"1 | {first + timedelta(day)} | {first + timedelta(day + length)}" for day, length in parts]
    drawing = "\n".join(["patient_index | start_date | end_date", "-", *rows])
    connection = select(TABLE, given={"clean.encounter": drawn(drawing, setting="inpatient")})
    stays = connection.sql(f"select start_date, end_date from {TABLE} order by 1").fetchall()
    covered = {start + timedelta(n) for start, end in stays for n in range((end - start).days + 1)}
    assert covered == {first + timedelta(day + n) for day, length in parts for n in range(length + 1)}
    assert all((then - end).days > 1 for (_, end), (then, _) in pairwise(stays))
