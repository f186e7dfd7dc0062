"""Pain early and late in each supply."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.refill_cycle"
EPISODE = drawn("episode_id\n-\na", patient_index=1, index_date="D+0")


def fills(*rows: str, **values: object) -> str:
    same = {"patient_index": 1, "is_in_timeline": True, "record_kind": "dispensing", "days_supply": 28} | values
    return drawn("start_date | end_date\n-\n" + "\n".join(rows), **same)


def scores(*rows: str, **values: object) -> str:
    same = {"patient_index": 1, "setting": "outpatient", "is_masked": False} | values
    return drawn("score_date | pain_nrs\n-\n" + "\n".join(rows), **same)


@pytest.fixture
def check(check_sql):
    def check(then: str, episode: str = EPISODE, **given: str) -> None:
        tables = {name.replace("__", "."): drawing for name, drawing in given.items()}
        check_sql(TABLE, given={"episode.episode": episode} | tables, then=drawn(then))

    return check


@pytest.mark.parametrize(
    ("fill", "is_there"),
    [
        ("D-90 | D-63", True),
        ("D-91 | D-64", False),
        ("D+63 | D+90", True),
        ("D+64 | D+91", False),
        ("D+0 | D+16", True),  # 17 days have ten early and seven late ones
        ("D+0 | D+15", False),
    ],
)
def test_a_cycle_lies_between_the_proximal_baseline_and_day_90_and_has_17_days(check, fill, is_there):
    check("start_date | end_date\n-\n" + (fill if is_there else ""), trajectory__record_dose=fills(fill))


def test_the_first_10_days_are_early_and_the_last_7_late(check):
    check(
        "start_date | early_nrs | late_nrs | rise_nrs\n-\nD+0 | 3 | 7 | 4",
        trajectory__record_dose=fills("D+0 | D+27"),
        trajectory__pain_day=scores(
            *("D-1 | 9", "D+0 | 2", "D+9 | 4", "D+10 | 10", "D+20 | 10", "D+21 | 6", "D+27 | 8", "D+28 | 0")
        ),
    )


@pytest.mark.parametrize(("refill", "late"), [("D+21", ""), ("D+22", "6"), ("D+28", "7")])
def test_who_refills_early_does_not_see_the_last_days_of_a_supply(check, refill, late):
    check(
        f"start_date | late_nrs | rise_nrs\n-\nD+0 | {late} |\n{refill} | |",
        trajectory__record_dose=fills("D+0 | D+27", f"{refill} | D+60"),
        trajectory__pain_day=scores("D+21 | 6", "D+27 | 8"),
    )


def test_supplies_of_one_day_are_one_cycle_to_the_end_of_the_longest(check):
    check("start_date | end_date\n-\nD+0 | D+29", trajectory__record_dose=fills("D+0 | D+29", "D+0 | D+9"))


@pytest.mark.parametrize(
    "values",
    [{"is_in_timeline": False}, {"record_kind": "administration"}, {"days_supply": ""}, {"patient_index": 2}],
)
def test_what_is_no_known_supply_of_the_patient_makes_no_cycle(check, values):
    check("start_date\n-", trajectory__record_dose=fills("D+0 | D+27", **values))


@pytest.mark.parametrize("values", [{"setting": "inpatient"}, {"is_masked": True}, {"patient_index": 2}])
def test_masked_scores_and_those_of_hospital_are_not_read(check, values):
    check(
        "start_date | early_nrs\n-\nD+0 |",
        trajectory__record_dose=fills("D+0 | D+27"),
        trajectory__pain_day=scores("D+0 | 5", **values),
    )


@pytest.mark.parametrize(("masked_by", "early"), [("D+90", ""), ("D+91", "5")])
def test_an_operation_after_day_90_masks_nothing_yet(check, masked_by, early):
    check(
        f"start_date | early_nrs\n-\nD+63 | {early}",
        trajectory__record_dose=fills("D+63 | D+90"),
        trajectory__pain_day=scores("D+63 | 5", is_masked=True, masked_by_date=masked_by),
    )


def test_a_score_that_is_not_known_is_none(check):
    check(
        "start_date | early_nrs\n-\nD+0 | 4",
        trajectory__record_dose=fills("D+0 | D+27"),
        trajectory__pain_day=scores("D+0 | 4", "D+1 |"),
    )


def test_an_excluded_episode_has_no_cycles(check):
    episode = drawn("episode_id\n-\na", patient_index=1, index_date="D+0", excluded_reason="under_age")
    check("start_date\n-", episode, trajectory__record_dose=fills("D+0 | D+27"))
