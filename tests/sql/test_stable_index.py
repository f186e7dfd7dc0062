"""Which days without a rise of the dose may begin an episode: sham dates, and rises of pain."""

import pytest

from tests.conftest import select
from tests.sql.drawing import day as DAY
from tests.sql.drawing import drawn

TABLE = "episode.stable_index"
RUN = drawn("patient_index\n-\n1", start_date="D-400", end_date="D+900", long_term_date="D-300")
PATIENT = "patient_index | patient_id\n-\n1 | north:1"


def dated(drawing: str, **values: object) -> str:
    """Days of patient 1 in the middle of steady, known and covered therapy."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "patient_index": 1,
        "index_kind": "sham_gabapentinoid",
        "index_date": "D+0",
        "mean_before_mme": 50,
        "mean_after_mme": 50,
        "distal_mme": 50,
        "late_mme": 50,
        "before_coverage": 1,
        "after_coverage": 1,
        "before_lower_bound_days": 0,
        "after_lower_bound_days": 0,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    def check(day: str, then: str, run: str = RUN, **settings: object):
        check_sql(
            TABLE,
            given={"episode.index_dose": day, "trajectory.therapy_run": run, "clean.patient": PATIENT},
            settings=settings,
            then=then,
        )

    return check


@pytest.mark.parametrize(
    ("dose", "reason"),
    [(59.9, ""), (60, "dose_not_stable"), (40, ""), (39.9, "dose_not_stable"), ("", "dose_not_stable")],
)
def test_a_stable_dose_is_within_20_percent_and_no_escalation(check, dose, reason):
    check(
        dated(f"patient_index | mean_after_mme\n-\n1 | {dose}"), f"patient_index | failed_requirement\n-\n1 | {reason}"
    )


@pytest.mark.parametrize("dose", [60, 39.9, ""])
@pytest.mark.parametrize(("kind", "reason"), [("pain_led", "dose_not_stable"), ("sham_gabapentinoid", "")])
def test_only_a_rise_of_pain_asks_for_a_stable_dose_from_b1_to_r2(check, kind, reason, dose):
    check(dated(f"index_kind | late_mme\n-\n{kind} | {dose}"), f"patient_index | failed_requirement\n-\n1 | {reason}")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("before_lower_bound_days", 1, "dose_unknown"),
        ("after_lower_bound_days", 1, "dose_unknown"),
        ("before_coverage", 0.8, ""),
        ("before_coverage", 0.79, "supply_not_covered"),
        ("after_coverage", 0.79, "supply_not_covered"),
    ],
)
def test_the_dose_is_known_and_four_fifths_of_the_days_are_covered_on_either_side(check, column, value, reason):
    check(dated(f"{column}\n-\n{value}"), f"patient_index | failed_requirement\n-\n1 | {reason}")


@pytest.mark.parametrize(("since", "reason"), [("D-1", ""), ("D+0", "not_long_term"), ("", "not_long_term")])
def test_therapy_was_long_term_before_the_day(check, since, reason):
    run = drawn("patient_index\n-\n1", start_date="D-400", end_date="D+900", long_term_date=since)
    check(dated("patient_index\n-\n1"), f"patient_index | failed_requirement\n-\n1 | {reason}", run=run)


def test_a_day_outside_any_therapy_is_kept_with_its_reason(check):
    check(dated("patient_index\n-\n1"), "patient_index | failed_requirement\n-\n1 | not_long_term", run="")


@pytest.mark.parametrize(
    ("dose", "reason"),
    [(41.7, ""), (41.6, "dose_not_stable"), (62.5, ""), (62.6, "dose_not_stable"), ("", "dose_not_stable")],
)
@pytest.mark.parametrize("kind", ["pain_led", "sham_maintainer", "sham_gabapentinoid"])
def test_the_dose_after_is_that_of_the_distal_baseline_too(check, kind, dose, reason):
    check(
        dated(f"index_kind | distal_mme | late_mme\n-\n{kind} | {dose} | {dose or 50}"),
        f"patient_index | failed_requirement\n-\n1 | {reason}",
        maintainer_date_share=1,
    )


DAYS = [f"D+{30 * month}" for month in range(6)]


def drawn_days(days: list[str], share: float) -> set[str]:
    found = select(
        TABLE,
        given={
            "episode.index_dose": dated("index_date\n-\n" + "\n".join(days), index_kind="sham_maintainer"),
            "trajectory.therapy_run": RUN,
            "clean.patient": PATIENT,
        },
        settings={"maintainer_date_share": share},
    ).sql(f"select index_date, failed_requirement from {TABLE}")
    rows = found.fetchall()
    assert {reason for _, reason in rows} <= {None, "not_drawn"}
    return {str(day) for day, reason in rows if reason is None}


def test_of_the_days_that_would_do_a_share_is_drawn():
    assert 0 < len(drawn_days(DAYS, 0.25)) < len(DAYS)
    assert len(drawn_days(DAYS, 1)) == len(DAYS)


def test_a_day_is_drawn_or_not_whatever_days_are_delivered_later():
    whole = drawn_days(DAYS, 0.25)
    for known in range(1, len(DAYS)):
        early = drawn_days(DAYS[:known], 0.25)
        assert early == {day for day in whole if day < str(DAY(30 * known))}
