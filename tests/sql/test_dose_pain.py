"""Dose and pain side by side: months, lagged association, steps and their quadrants."""

import pytest

from tests.sql.drawing import drawn


def month(drawing: str) -> str:
    return drawn(drawing, patient_index=1, lower_bound_days=0)


@pytest.mark.parametrize(
    ("row", "is_there"),
    [
        ("40 | 24 | 0", True),
        ("40 | 23 | 0", False),
        ("40 | 30 | 1", False),
        ("0 | 30 | 0", False),
    ],
)
def test_a_month_has_a_dose_that_is_known_and_covered(check_sql, row, is_there):
    months = drawn(
        f"mean_mme | covered_days | lower_bound_days\n-\n{row}", patient_index=1, month_number=0, start_date="D+0"
    )
    then = "month_number\n-" + ("\n0" if is_there else "")
    check_sql("episode.dose_pain_month", given={"trajectory.therapy_month": months}, then=then)


def test_pain_of_a_month_is_the_mean_of_its_weekly_medians(check_sql):
    given = {
        "trajectory.therapy_month": month(
            "month_number | start_date | mean_mme | covered_days\n-\n0 | D+0 | 32 | 30\n1 | D+30 | 64 | 30"
        ),
        "trajectory.pain_day": drawn(
            "score_date | pain_nrs | is_masked\n-\nD-1 | 9 | false\nD+0 | 2 | false\nD+2 | 4 | false\n"
            "D+29 | 7 | false\nD+15 | 0 | true",
            patient_index=1,
            setting="outpatient",
        ),
    }
    then = "month_number | log2_mme | pain_nrs\n-\n0 | 5 | 5\n1 | 6 |"
    check_sql("episode.dose_pain_month", given=given, then=then)


def lag(check_sql, rows: str, then: str, **settings: object) -> None:
    given = {"episode.dose_pain_month": drawn(f"month_number | log2_mme | pain_nrs\n-\n{rows}", patient_index=1)}
    check_sql("episode.dose_pain_lag", given=given, then=then, settings={"lag_min_pairs": 3} | settings)


def test_dose_follows_pain_by_the_slope_of_its_next_change(check_sql):
    # The dose rises by 0.5 after 6 points, by 0.1 after 2: 0.1 a point.
    rows = "0 | 1 | 6\n1 | 1.5 | 2\n2 | 1.6 | 6\n3 | 2.1 | 2\n4 | 2.2 |"
    then = """
        patient_index | direction      | pair_count | sum_of_squares | sum_of_products | slope
        -
        1             | pain_then_dose | 4          | 16             | 1.6             | 0.1
    """
    lag(check_sql, rows, then, lag_min_pairs=4)


def test_pain_follows_dose_by_the_change_of_the_month_after(check_sql):
    # Doses rise by 1, 0, 1; pain of the next month by -1, 0, -1.
    rows = "0 | 1 | 5\n1 | 2 | 5\n2 | 2 | 4\n3 | 3 | 4\n4 | 3 | 3"
    then = "direction | pair_count | slope\n-\npain_then_dose | 4 | 0\ndose_then_pain | 3 | -1"
    lag(check_sql, rows, then)


def test_months_apart_make_no_pair(check_sql):
    rows = "0 | 1 | 6\n2 | 1.5 | 2\n4 | 1.6 | 6\n6 | 2.1 | 2"
    lag(check_sql, rows, "direction\n-")


def test_a_change_of_the_dose_over_a_month_that_is_not_known_makes_no_pair(check_sql):
    rows = "0 | 1 | 5\n2 | 9 | 5\n3 | 2 | 5\n4 | 3 | 4\n5 | 3 | 3\n6 | 4 | 3"
    then = "direction | pair_count\n-\npain_then_dose | 4\ndose_then_pain | 3"
    lag(check_sql, rows, then)


def test_pain_that_never_differs_has_no_slope(check_sql):
    lag(check_sql, "0 | 1 | 5\n1 | 2 | 5\n2 | 2 | 5\n3 | 2 | 5\n4 | 2 | 5", "direction | slope\n-\ndose_then_pain | 0")


def test_patients_are_pooled_by_their_sums(check_sql):
    rows = "\n".join(f"{n} | 1 | {1 if n % 2 else 3} | {1 if n % 2 else 3}" for n in range(12))
    given = {
        "episode.dose_pain_lag": drawn(
            f"patient_index | sum_of_squares | sum_of_products | slope\n-\n{rows}", direction="dose_then_pain"
        )
    }
    # Six patients with 1 and six with 3 about a pooled slope of 2: residuals of 1 each.
    then = """
        direction      | patient_count | pooled_slope | standard_error | median_slope
        -
        dose_then_pain | 11            | 2            | 0.2887         | 2
    """
    check_sql("report.dose_pain_lag", given=given, then=then)


def steps(check_sql, events: str, then: str, pain: str = "", **settings: object) -> None:
    given = {
        "trajectory.opioid_event": drawn(f"event | event_date\n-\n{events}", patient_index=1, definition="default"),
        "trajectory.pain_day": pain
        and drawn(f"score_date | pain_nrs\n-\n{pain}", patient_index=1, setting="outpatient", is_masked=False),
    }
    check_sql("episode.dose_pain_step", given=given, then=drawn(then), settings=settings)


@pytest.mark.parametrize(("day", "counts"), [(89, False), (90, True)])
def test_a_step_soon_after_another_of_its_direction_is_not_counted_again(check_sql, day, counts):
    then = "direction | step_date\n-\nup | D+0" + (f"\nup | D+{day}" if counts else "")
    steps(check_sql, f"escalation | D+0\nescalation | D+{day}", then)


def test_a_step_down_soon_after_one_up_is_a_step(check_sql):
    steps(check_sql, "escalation | D+0\ntaper | D+30\nrotation | D+60", "direction\n-\nup\ndown")


@pytest.mark.parametrize(
    ("change", "direction"),
    [(1.01, "pain_up"), (1, "pain_same"), (-1, "pain_same"), (-1.01, "pain_down")],
)
def test_pain_moved_when_it_left_the_dead_zone_of_a_point(check_sql, change, direction):
    pain = f"D-90 | 5\nD-1 | 5\nD+36 | {5 + change}\nD+90 | {5 + change}\nD-91 | 0\nD+35 | 0\nD+91 | 0"
    then = f"direction | pain_direction | dead_zone_nrs\n-\nup | {direction} | 1"
    steps(check_sql, "escalation | D+0", then, pain, within_person_sd_nrs=0.5)


@pytest.mark.parametrize(("change", "direction"), [(1.8, "pain_same"), (1.81, "pain_up")])
def test_the_dead_zone_is_a_standard_error_where_that_is_more(check_sql, change, direction):
    pain = f"D-90 | 5\nD-1 | 5\nD+36 | {5 + change}\nD+90 | {5 + change}"
    steps(check_sql, "escalation | D+0", f"pain_direction | dead_zone_nrs\n-\n{direction} | 1.8", pain)


def test_a_step_with_one_scored_week_on_a_side_cannot_be_told(check_sql):
    pain = "D-90 | 5\nD-1 | 5\nD+36 | 9"
    steps(check_sql, "taper | D+0", "direction | pain_direction\n-\ndown | too_few_scores", pain)


def test_cells_of_few_patients_are_left_out_and_counts_rounded(check_sql):
    rows = (
        "\n".join(f"{n} | up | pain_up" for n in range(16))
        + "\n"
        + "\n".join(f"{n} | down | pain_up" for n in range(10))
    )
    given = {"episode.dose_pain_step": f"patient_index | direction | pain_direction\n-\n{rows}"}
    then = "direction | pain_direction | step_count | patient_count\n-\nup | pain_up | 11 | 11"
    check_sql("report.dose_pain_quadrant", given=given, then=then)
