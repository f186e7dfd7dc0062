"""Which dose increase is an escalation, and what the first requirement is that another one fails."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.escalation"

# What an increase needs beside the number that a test is about.
LONG_TERM = drawn("start_date | end_date | long_term_date\n-\nD-300 | D+200 | D-211", patient_index=1)
COVERED = {"before_coverage": 1, "after_coverage": 1, "before_lower_bound_days": 0, "after_lower_bound_days": 0}
RAISED = {"mean_before_mme": 30, "mean_after_mme": 60, "mean_sustained_mme": 60}


def increase(drawing: str = "increase_date\n-\nD+0", **values: object) -> str:
    """Increases of patient 1: escalations but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {"patient_index": 1, "increase_date": "D+0"} | COVERED | RAISED | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check_reason(check_sql):
    """Expect one reason for the increases of patient 1, given doses around them and what was dispensed."""

    def check(
        step: str,
        reason: str,
        run: str = LONG_TERM,
        record: str = "",
        period: str = "",
        switch: str = "",
        **settings: float,
    ):
        check_sql(
            TABLE,
            given={
                "episode.dose_step": step,
                "trajectory.therapy_run": run,
                "trajectory.record_dose": record,
                "trajectory.dose_period": period,
                "trajectory.opioid_switch": switch,
            },
            settings=settings,
            then=f"patient_index | failed_requirement\n-\n1 | {reason}",
        )

    return check


def test_a_sustained_rise_on_covered_long_term_therapy_is_an_escalation(check_sql):
    check_sql(
        TABLE,
        given={"episode.dose_step": increase(), "trajectory.therapy_run": LONG_TERM},
        then=drawn(
            """
            patient_index | increase_date | run_start_date | long_term_date | is_long_term | dose_ratio | rise_mme
            --------------+---------------+----------------+----------------+--------------+------------+---------
            1             | D+0           | D-300          | D-211          | true         | 2          | 30
            """,
            sustained_ratio=2,
        ),
    )


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("100", "120", ""),
        ("100", "119.999", "ratio_too_small"),
        # 1.2 in decimals, a hair below it in binary
        ("33.7", "40.44", ""),
        ("107.2", "128.64", ""),
    ],
)
def test_a_rise_of_20_percent_is_enough_and_less_is_not(check_reason, before, after, reason):
    check_reason(increase(mean_before_mme=before, mean_after_mme=after, mean_sustained_mme=999), reason)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("20", "25", ""),
        ("20", "24.999", "rise_too_small"),
        # 5 in decimals, a hair below it in binary
        ("3.2", "8.2", ""),
        ("7.7", "12.7", ""),
    ],
)
def test_a_rise_of_5_mme_is_enough_and_less_is_not(check_reason, before, after, reason):
    check_reason(increase(mean_before_mme=before, mean_after_mme=after, mean_sustained_mme=999), reason)


@pytest.mark.parametrize(("sustained", "reason"), [("36", ""), ("35.999", "not_sustained")])
def test_the_dose_of_the_first_28_days_has_risen_by_20_percent_too(check_reason, sustained, reason):
    check_reason(increase(mean_sustained_mme=sustained), reason)


def test_a_large_rise_that_is_taken_back_within_28_days_is_an_escalation(check_reason):
    """120 MME for 20 days, 30 before and after: means of 60 and 28 days. What makes it a stratum is that it went back."""
    check_reason(increase(mean_before_mme=30, mean_after_mme=60, mean_sustained_mme=94.286), "")


@pytest.mark.parametrize("window", ["before_coverage", "after_coverage"])
@pytest.mark.parametrize(("days", "reason"), [(0.8, ""), (0.7999, "supply_not_covered")])
def test_80_percent_of_the_days_are_covered_before_and_after(check_reason, window, days, reason):
    check_reason(increase(**{window: days}), reason)


@pytest.mark.parametrize("window", ["before_lower_bound_days", "after_lower_bound_days"])
def test_one_day_of_unknown_dose_before_or_after_leaves_the_rise_unknown(check_reason, window):
    check_reason(increase(**{window: 1}), "dose_unknown")


def test_no_dose_before_is_no_ratio(check_reason):
    check_reason(increase(mean_before_mme=0), "ratio_too_small")


@pytest.mark.parametrize(("day", "reason"), [("D-1", ""), ("D+0", "not_long_term"), ("", "not_long_term")])
def test_therapy_is_long_term_before_the_increase(check_reason, day, reason):
    run = drawn(f"start_date | long_term_date\n-\nD-300 | {day}", patient_index=1, end_date="D+200")
    check_reason(increase(), reason, run=run)


@pytest.mark.parametrize(
    "run",
    [
        drawn("start_date | end_date | long_term_date\n-\nD-300 | D-31 | D-211", patient_index=1),
        drawn("start_date | end_date | long_term_date\n-\nD-300 | D+200 | D-211", patient_index=2),
        "",
    ],
    ids=["an earlier run", "another patient's run", "no run"],
)
def test_only_the_run_that_holds_the_increase_makes_it_long_term(check_reason, run):
    check_reason(increase(), "not_long_term", run=run)


@pytest.mark.parametrize(("start", "end"), [("D+0", "D+200"), ("D-300", "D+0")])
def test_a_run_holds_its_first_and_its_last_day(check_sql, start, end):
    check_sql(
        TABLE,
        given={
            "episode.dose_step": increase(),
            "trajectory.therapy_run": drawn(f"start_date | end_date\n-\n{start} | {end}", patient_index=1),
        },
        then=drawn(f"run_start_date | run_end_date\n-\n{start} | {end}"),
    )


def test_only_the_first_failed_requirement_is_named(check_reason):
    failing = increase(mean_after_mme=31, mean_sustained_mme=30, after_coverage=0.1, after_lower_bound_days=1)
    check_reason(failing, "dose_unknown", run="")
    failing = increase(mean_after_mme=31, mean_sustained_mme=30, after_coverage=0.1)
    check_reason(failing, "supply_not_covered", run="")
    check_reason(increase(mean_after_mme=31, mean_sustained_mme=30), "ratio_too_small", run="")
    check_reason(increase(mean_before_mme=3, mean_after_mme=6, mean_sustained_mme=3), "rise_too_small", run="")
    check_reason(increase(mean_sustained_mme=30), "not_sustained", run="")


def test_every_increase_keeps_its_row(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.dose_step": increase(
                """
                patient_index | increase_date | mean_after_mme
                --------------+---------------+---------------
                1             | D+0           | 60
                1             | D+40          | 60
                1             | D+50          | 31
                2             | D+0           | 60
                """
            ),
            "trajectory.therapy_run": LONG_TERM,
        },
        then=drawn(
            """
            patient_index | increase_date | failed_requirement
            --------------+---------------+-------------------
            1             | D+0           |
            1             | D+40          |
            1             | D+50          | ratio_too_small
            2             | D+0           | not_long_term
            """
        ),
    )


def record(drawing: str, **same: object) -> str:
    return drawn(drawing, **({"patient_index": 1, "is_in_timeline": True} | same))


@pytest.mark.parametrize(
    ("switch", "reason"),
    [
        ("rotation | D+0", "rotation"),
        # the other opioid begins before or after the increase, so it does not explain it
        ("rotation | D-1", ""),
        ("rotation | D+1", ""),
        # tablets that act longer are the same opioid
        ("release_switch | D+0", ""),
    ],
)
def test_an_increase_on_the_day_of_a_rotation_is_none(check_reason, switch, reason):
    switches = drawn(f"event | switch_date\n-\n{switch}", patient_index=1)
    check_reason(increase(), reason, switch=switches)


def test_another_patients_rotation_explains_nothing(check_reason):
    switches = drawn("event | switch_date\n-\nrotation | D+0", patient_index=2)
    check_reason(increase(), "", switch=switches)


def course(days: int, release: str = "immediate") -> str:
    """A supply that begins with the increase, beside therapy that goes on."""
    return record(
        f"""
        start_date | end_date      | release
        -----------+---------------+---------
        D+0        | D+{days - 1}  | {release}
        D-28       | D+200         | extended
        """,
        ingredient="oxycodone",
    )


def dose_back_on(day: int, dose: float = 30) -> str:
    return drawn(
        f"""
        start_date | end_date    | dose_mme
        -----------+-------------+---------
        D+0        | D+{day - 1} | 150
        D+{day}    | D+200       | {dose}
        """,
        patient_index=1,
    )


@pytest.mark.parametrize(("days", "reason"), [(14, "acute_course"), (15, "")])
def test_an_immediate_release_course_of_14_days_is_acute(check_reason, days, reason):
    check_reason(increase(), reason, record=course(days), period=dose_back_on(14))


@pytest.mark.parametrize(("release", "reason"), [("", "acute_course"), ("extended", "")])
def test_a_course_is_taken_as_immediate_release_unless_known_to_be_extended(check_reason, release, reason):
    check_reason(increase(), reason, record=course(7, release), period=dose_back_on(7))


@pytest.mark.parametrize(("day", "reason"), [(14, "acute_course"), (15, "")])
def test_the_dose_is_back_when_an_acute_course_is_over(check_reason, day, reason):
    check_reason(increase(), reason, record=course(14), period=dose_back_on(day))


@pytest.mark.parametrize(("dose", "reason"), [(33, "acute_course"), (33.001, "")])
def test_back_is_within_110_percent_of_the_old_mean_dose(check_reason, dose, reason):
    check_reason(increase(), reason, record=course(14), period=dose_back_on(14, dose))


def test_therapy_that_is_dispensed_by_the_week_can_escalate(check_reason):
    weekly = record(
        """
        start_date | end_date
        -----------+---------
        D-7        | D-1
        D+0        | D+6
        D+7        | D+13
        D+14       | D+20
        """,
        ingredient="oxycodone",
        release="immediate",
    )
    raised = drawn("start_date | end_date | dose_mme\n-\nD-7 | D-1 | 30\nD+0 | D+20 | 60", patient_index=1)
    check_reason(increase(), "", record=weekly, period=raised)


def test_a_course_that_begins_beside_a_refill_is_acute_too(check_reason):
    records = record(
        """
        start_date | end_date | release
        -----------+----------+----------
        D+0        | D+27     | extended
        D+0        | D+6      | immediate
        """,
        ingredient="oxycodone",
    )
    check_reason(increase(), "acute_course", record=records, period=dose_back_on(7))


def test_the_thresholds_are_settings(check_reason):
    check_reason(increase(), "ratio_too_small", escalation_min_ratio=2.1)
    check_reason(increase(), "rise_too_small", escalation_min_mme=30.1)
    check_reason(increase(before_coverage=0.9), "supply_not_covered", min_coverage=0.95)
