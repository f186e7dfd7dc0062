"""Each rule of the dose timeline as drawn rows, and all of them against a day-by-day oracle."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines import dose_timeline
from tests.oracle import daily_dose as oracle

RECORD = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "dose_micro_mme": pl.Int64,
}
PERIOD = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "dose_mme": pl.Float64,
    "is_lower_bound": pl.Boolean,
}
INCREASE = {
    "patient_index": pl.Int32,
    "increase_date": pl.Date,
    "dose_before_mme": pl.Float64,
    "dose_after_mme": pl.Float64,
}
RUN = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "covered_days": pl.Int32,
    "long_term_date": pl.Date,
}
WINDOW = {"patient_index": pl.Int32, "start_date": pl.Date, "end_date": pl.Date}
TOTAL = WINDOW | {"dose_mme_days": pl.Float64, "covered_days": pl.Int32, "lower_bound_days": pl.Int32}


# Rows drawn as text ---------------------------------------------------------------------------------------------


def cell(text: str, dtype: type[pl.DataType]):
    if not text:
        return None
    if dtype == pl.Date:
        return date.fromisoformat(text)
    return {pl.Boolean: {"yes": True, "no": False}.get, pl.Float64: float}.get(dtype, int)(text)


def drawn(schema: dict[str, type[pl.DataType]], drawing: str) -> pl.DataFrame:
    """A frame from lines of cells between bars, in the order of the schema. An empty cell is null."""
    rows = [
        [cell(text.strip(), dtype) for text, dtype in zip(line.split("|"), schema.values(), strict=True)]
        for line in drawing.strip().splitlines()
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def records(drawing: str) -> pl.DataFrame:
    """Records drawn as `patient | start | end | dose`, the dose in MME with up to six decimals, or ? if unknown."""
    rows = []
    for line in drawing.strip().splitlines():
        patient, start, end, dose = (text.strip() for text in line.split("|"))
        micro_mme = None if dose == "?" else int(Decimal(dose) * 1_000_000)
        rows.append((int(patient), date.fromisoformat(start), date.fromisoformat(end), micro_mme))
    return pl.DataFrame(rows, schema=RECORD, orient="row")


def check_periods(given: str, then: str) -> None:
    assert_frame_equal(dose_timeline.dose_period(records(given)), drawn(PERIOD, then), check_exact=True)


def check_runs(given: str, then: str, **definition: int) -> None:
    found = dose_timeline.therapy_run(dose_timeline.dose_period(records(given)), **definition)
    assert_frame_equal(found, drawn(RUN, then))


# Runs of equal dose ---------------------------------------------------------------------------------------------


def test_one_record_is_one_period_and_its_last_day_belongs_to_it():
    check_periods("0 | 2024-01-01 | 2024-01-30 | 50", "0 | 2024-01-01 | 2024-01-30 | 50 | no")


def test_a_record_of_one_day_is_a_period_of_one_day():
    check_periods("0 | 2024-02-29 | 2024-02-29 | 50", "0 | 2024-02-29 | 2024-02-29 | 50 | no")


def test_records_on_the_same_day_add_up():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-01 | 20
        0 | 2024-01-01 | 2024-01-01 | 30
        """,
        "0 | 2024-01-01 | 2024-01-01 | 50 | no",
    )


def test_overlapping_records_add_up_only_where_they_overlap():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-08 | 2024-01-20 | 30
        """,
        """
        0 | 2024-01-01 | 2024-01-07 | 20 | no
        0 | 2024-01-08 | 2024-01-10 | 50 | no
        0 | 2024-01-11 | 2024-01-20 | 30 | no
        """,
    )


def test_a_record_inside_another_leaves_the_dose_as_it_was_before():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-31 | 20
        0 | 2024-01-10 | 2024-01-12 | 5
        """,
        """
        0 | 2024-01-01 | 2024-01-09 | 20 | no
        0 | 2024-01-10 | 2024-01-12 | 25 | no
        0 | 2024-01-13 | 2024-01-31 | 20 | no
        """,
    )


def test_identical_records_are_two_records():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-01 | 2024-01-10 | 20
        """,
        "0 | 2024-01-01 | 2024-01-10 | 40 | no",
    )


def test_adjacent_records_of_equal_dose_are_one_period():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-11 | 2024-01-20 | 20
        """,
        "0 | 2024-01-01 | 2024-01-20 | 20 | no",
    )


def test_adjacent_records_of_different_dose_are_two_periods():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-11 | 2024-01-20 | 20.001
        """,
        """
        0 | 2024-01-01 | 2024-01-10 | 20     | no
        0 | 2024-01-11 | 2024-01-20 | 20.001 | no
        """,
    )


def test_a_day_without_a_record_is_in_no_period():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-12 | 2024-01-20 | 20
        """,
        """
        0 | 2024-01-01 | 2024-01-10 | 20 | no
        0 | 2024-01-12 | 2024-01-20 | 20 | no
        """,
    )


def test_patients_never_share_a_period():
    check_periods(
        """
        1 | 2024-01-11 | 2024-01-20 | 20
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-15 | 2024-01-15 | 20
        """,
        """
        0 | 2024-01-01 | 2024-01-10 | 20 | no
        0 | 2024-01-15 | 2024-01-15 | 20 | no
        1 | 2024-01-11 | 2024-01-20 | 20 | no
        """,
    )


def test_no_record_gives_no_period():
    check_periods("", "")


# Unknown doses --------------------------------------------------------------------------------------------------


def test_an_unknown_dose_alone_covers_its_days_with_a_lower_bound_of_zero():
    check_periods("0 | 2024-01-01 | 2024-01-10 | ?", "0 | 2024-01-01 | 2024-01-10 | 0 | yes")


def test_an_unknown_dose_makes_a_lower_bound_of_its_days_alone():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-31 | 20
        0 | 2024-01-10 | 2024-01-12 | ?
        """,
        """
        0 | 2024-01-01 | 2024-01-09 | 20 | no
        0 | 2024-01-10 | 2024-01-12 | 20 | yes
        0 | 2024-01-13 | 2024-01-31 | 20 | no
        """,
    )


def test_the_days_are_a_lower_bound_until_the_last_unknown_dose_ends():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | ?
        0 | 2024-01-05 | 2024-01-12 | ?
        0 | 2024-01-12 | 2024-01-13 | 7
        """,
        """
        0 | 2024-01-01 | 2024-01-11 | 0 | yes
        0 | 2024-01-12 | 2024-01-12 | 7 | yes
        0 | 2024-01-13 | 2024-01-13 | 7 | no
        """,
    )


def test_an_unknown_dose_adds_nothing_not_even_to_the_last_digit():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-01 | 0.0005
        0 | 2024-01-01 | 2024-01-01 | ?
        """,
        "0 | 2024-01-01 | 2024-01-01 | 0.001 | yes",
    )


def test_a_known_dose_of_zero_is_covered_and_no_lower_bound():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 0
        0 | 2024-01-11 | 2024-01-12 | ?
        """,
        """
        0 | 2024-01-01 | 2024-01-10 | 0 | no
        0 | 2024-01-11 | 2024-01-12 | 0 | yes
        """,
    )


# Exactness ------------------------------------------------------------------------------------------------------


def test_three_thirds_reach_a_threshold_of_90():
    period = dose_timeline.dose_period(
        records(
            """
            0 | 2024-01-01 | 2024-01-30 | 33.333333
            0 | 2024-01-01 | 2024-01-30 | 33.333333
            0 | 2024-01-01 | 2024-01-30 | 23.333333
            """
        )
    )
    assert period["dose_mme"].to_list() == [90.0]
    assert period.filter(pl.col("dose_mme") >= 90).height == 1
    assert period.filter(pl.col("dose_mme") > 90).height == 0


def test_patches_of_25_and_12_5_mcg_per_hour_at_2_4_are_exactly_90():
    check_periods(
        f"""
        0 | 2024-01-01 | 2024-01-03 | {Decimal("25") * Decimal("2.4")}
        0 | 2024-01-01 | 2024-01-03 | {Decimal("12.5") * Decimal("2.4")}
        """,
        "0 | 2024-01-01 | 2024-01-03 | 90 | no",
    )


@pytest.mark.parametrize(
    ("dose", "rounded"), [("0.000499", 0.0), ("0.0005", 0.001), ("0.001499", 0.001), ("0.0015", 0.002)]
)
def test_half_a_thousandth_rounds_up(dose, rounded):
    check_periods(f"0 | 2024-01-01 | 2024-01-01 | {dose}", f"0 | 2024-01-01 | 2024-01-01 | {rounded} | no")


def test_the_sum_is_rounded_and_not_its_parts():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-01 | 0.0004
        0 | 2024-01-01 | 2024-01-01 | 0.0004
        """,
        "0 | 2024-01-01 | 2024-01-01 | 0.001 | no",
    )


def test_days_whose_doses_differ_by_less_than_is_published_are_one_period():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-10 | 29.9999
        0 | 2024-01-11 | 2024-01-20 | 30.0001
        """,
        "0 | 2024-01-01 | 2024-01-20 | 30 | no",
    )


def test_a_dose_of_five_million_mme_leaves_the_others_exact():
    check_periods(
        """
        0 | 2024-01-01 | 2024-01-31 | 5000000
        0 | 2024-01-31 | 2024-02-01 | 0.001
        1 | 2024-01-01 | 2024-01-31 | 0.001
        """,
        """
        0 | 2024-01-01 | 2024-01-30 | 5000000     | no
        0 | 2024-01-31 | 2024-01-31 | 5000000.001 | no
        0 | 2024-02-01 | 2024-02-01 | 0.001       | no
        1 | 2024-01-01 | 2024-01-31 | 0.001       | no
        """,
    )


def test_dates_of_several_centuries_and_the_largest_patient_fit():
    check_periods(
        """
        0          | 1899-12-31 | 1900-01-01 | 1
        0          | 2201-01-01 | 2201-01-01 | 1
        2147483647 | 9999-12-31 | 9999-12-31 | 1
        """,
        """
        0          | 1899-12-31 | 1900-01-01 | 1 | no
        0          | 2201-01-01 | 2201-01-01 | 1 | no
        2147483647 | 9999-12-31 | 9999-12-31 | 1 | no
        """,
    )


# Windows --------------------------------------------------------------------------------------------------------


def check_totals(given: str, windows: str, then: str) -> None:
    found = dose_timeline.window_totals(dose_timeline.dose_period(records(given)), drawn(WINDOW, windows))
    assert_frame_equal(found, drawn(TOTAL, then), check_exact=True)


SUPPLY = """
0 | 2024-01-01 | 2024-01-10 | 20
0 | 2024-01-11 | 2024-01-20 | ?
0 | 2024-01-31 | 2024-02-09 | 30
2 | 2024-01-01 | 2024-01-31 | 33.333333
"""


def test_a_window_holds_its_first_and_its_last_day():
    check_totals(
        SUPPLY,
        """
        0 | 2024-01-10 | 2024-01-11
        0 | 2024-01-10 | 2024-01-10
        0 | 2024-02-09 | 2024-02-09
        0 | 2024-02-10 | 2024-02-10
        0 | 2024-01-01 | 2024-01-01
        0 | 2023-12-31 | 2023-12-31
        """,
        """
        0 | 2024-01-10 | 2024-01-11 | 20 | 2 | 1
        0 | 2024-01-10 | 2024-01-10 | 20 | 1 | 0
        0 | 2024-02-09 | 2024-02-09 | 30 | 1 | 0
        0 | 2024-02-10 | 2024-02-10 | 0  | 0 | 0
        0 | 2024-01-01 | 2024-01-01 | 20 | 1 | 0
        0 | 2023-12-31 | 2023-12-31 | 0  | 0 | 0
        """,
    )


def test_a_gap_adds_neither_dose_nor_covered_days():
    check_totals(
        SUPPLY,
        """
        0 | 2024-01-21 | 2024-01-30
        0 | 2024-01-05 | 2024-02-01
        """,
        """
        0 | 2024-01-21 | 2024-01-30 | 0   | 0  | 0
        0 | 2024-01-05 | 2024-02-01 | 180 | 18 | 10
        """,
    )


def test_a_window_may_reach_beyond_the_timeline_but_never_into_another_patient():
    check_totals(
        SUPPLY,
        """
        0 | 1900-01-01 | 2200-01-01
        1 | 1900-01-01 | 2200-01-01
        2 | 1900-01-01 | 2200-01-01
        3 | 1900-01-01 | 2200-01-01
        """,
        """
        0 | 1900-01-01 | 2200-01-01 | 500      | 30 | 10
        1 | 1900-01-01 | 2200-01-01 | 0        | 0  | 0
        2 | 1900-01-01 | 2200-01-01 | 1033.323 | 31 | 0
        3 | 1900-01-01 | 2200-01-01 | 0        | 0  | 0
        """,
    )


def test_a_thousandth_that_binary_fractions_cannot_hold_is_not_lost_in_a_window():
    check_totals(
        "0 | 2024-01-01 | 2024-01-10 | 1.001",
        "0 | 2024-01-01 | 2024-01-10",
        "0 | 2024-01-01 | 2024-01-10 | 10.01 | 10 | 0",
    )


def test_windows_keep_their_order_and_their_columns():
    window = drawn(WINDOW, "2 | 2024-01-01 | 2024-01-02\n0 | 2024-01-01 | 2024-01-03").insert_column(
        0, pl.Series("episode_id", ["b", "a"])
    )
    found = dose_timeline.window_totals(dose_timeline.dose_period(records(SUPPLY)), window)
    assert found.columns == ["episode_id", *TOTAL]
    assert found.rows() == [
        ("b", 2, date(2024, 1, 1), date(2024, 1, 2), 66.666, 2, 0),
        ("a", 0, date(2024, 1, 1), date(2024, 1, 3), 60.0, 3, 0),
    ]


def test_windows_on_an_empty_timeline_hold_nothing():
    check_totals("", "0 | 2024-01-01 | 2024-01-02", "0 | 2024-01-01 | 2024-01-02 | 0 | 0 | 0")


def test_no_window_gives_no_total():
    check_totals(SUPPLY, "", "")


# Increases ------------------------------------------------------------------------------------------------------


def check_increases(given: str, then: str) -> None:
    found = dose_timeline.dose_increase(dose_timeline.dose_period(records(given)))
    assert_frame_equal(found, drawn(INCREASE, then))


def test_a_start_a_rise_and_a_restart_are_increases_and_a_fall_is_none():
    check_increases(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-11 | 2024-01-20 | 30
        0 | 2024-01-21 | 2024-01-30 | 10
        0 | 2024-02-01 | 2024-02-10 | 10
        """,
        """
        0 | 2024-01-01 | 0  | 20
        0 | 2024-01-11 | 20 | 30
        0 | 2024-02-01 | 0  | 10
        """,
    )


def test_a_patient_starts_from_zero_whatever_the_patient_before_had():
    check_increases(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        1 | 2024-01-11 | 2024-01-20 | 30
        """,
        """
        0 | 2024-01-01 | 0 | 20
        1 | 2024-01-11 | 0 | 30
        """,
    )


def test_a_rise_of_a_thousandth_is_an_increase():
    check_increases(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-01-11 | 2024-01-20 | 20.001
        """,
        """
        0 | 2024-01-01 | 0  | 20
        0 | 2024-01-11 | 20 | 20.001
        """,
    )


def test_a_rise_from_or_to_a_lower_bound_is_no_increase():
    check_increases(
        """
        0 | 2024-01-01 | 2024-01-10 | ?
        0 | 2024-01-11 | 2024-01-20 | 30
        0 | 2024-01-21 | 2024-01-30 | 60
        0 | 2024-01-21 | 2024-01-30 | ?
        """,
        "",
    )


def test_a_restart_after_a_gap_counts_even_if_a_lower_bound_lies_before_the_gap():
    check_increases(
        """
        0 | 2024-01-01 | 2024-01-10 | ?
        0 | 2024-01-12 | 2024-01-20 | 30
        """,
        "0 | 2024-01-12 | 0 | 30",
    )


def test_a_known_dose_of_zero_is_no_increase():
    check_increases("0 | 2024-01-01 | 2024-01-10 | 0", "")


# Therapy runs ---------------------------------------------------------------------------------------------------


def test_a_gap_of_30_days_is_bridged_but_not_covered():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-02-10 | 2024-02-19 | 20
        """,
        "0 | 2024-01-01 | 2024-02-19 | 20 |",
    )


def test_a_gap_of_31_days_ends_the_run():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-10 | 20
        0 | 2024-02-11 | 2024-02-20 | 20
        """,
        """
        0 | 2024-01-01 | 2024-01-10 | 10 |
        0 | 2024-02-11 | 2024-02-20 | 10 |
        """,
    )


def test_89_covered_days_are_not_long_term():
    check_runs("0 | 2024-01-01 | 2024-03-29 | 20", "0 | 2024-01-01 | 2024-03-29 | 89 |")


def test_the_90th_covered_day_makes_a_run_long_term():
    check_runs("0 | 2024-01-01 | 2024-03-30 | 20", "0 | 2024-01-01 | 2024-03-30 | 90 | 2024-03-30")


def test_90_covered_days_within_120_days_are_long_term():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-30 | 20
        0 | 2024-02-15 | 2024-03-15 | 20
        0 | 2024-03-31 | 2024-04-29 | 20
        """,
        "0 | 2024-01-01 | 2024-04-29 | 90 | 2024-04-29",
    )


def test_90_covered_days_within_121_days_are_not_long_term():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-30 | 20
        0 | 2024-02-15 | 2024-03-15 | 20
        0 | 2024-04-01 | 2024-04-30 | 20
        """,
        "0 | 2024-01-01 | 2024-04-30 | 90 |",
    )


def test_a_run_can_become_long_term_after_old_gaps_have_left_the_span():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-30 | 20
        0 | 2024-02-15 | 2024-03-15 | 20
        0 | 2024-04-01 | 2024-06-30 | 20
        """,
        "0 | 2024-01-01 | 2024-06-30 | 151 | 2024-05-30",
    )


def test_days_of_an_earlier_run_do_not_count():
    check_runs(
        """
        0 | 2024-01-01 | 2024-03-20 | 20
        0 | 2024-03-27 | 2024-04-20 | 20
        """,
        """
        0 | 2024-01-01 | 2024-03-20 | 80 |
        0 | 2024-03-27 | 2024-04-20 | 25 |
        """,
        bridge_days=5,
    )


def test_days_of_another_patient_do_not_count():
    check_runs(
        """
        0 | 2024-01-01 | 2024-03-20 | 20
        1 | 2024-03-21 | 2024-04-20 | 20
        """,
        """
        0 | 2024-01-01 | 2024-03-20 | 80 |
        1 | 2024-03-21 | 2024-04-20 | 31 |
        """,
    )


def test_days_of_unknown_dose_and_changes_of_dose_are_covered_alike():
    check_runs(
        """
        0 | 2024-01-01 | 2024-01-31 | 20
        0 | 2024-02-01 | 2024-02-29 | ?
        0 | 2024-03-01 | 2024-03-31 | 40
        """,
        "0 | 2024-01-01 | 2024-03-31 | 91 | 2024-03-30",
    )


def test_no_period_gives_no_run():
    check_runs("", "")


def test_days_of_an_earlier_run_count_where_the_definition_adds_them_up():
    check_runs(
        """
        0 | 2024-01-01 | 2024-03-20 | 20
        0 | 2024-06-01 | 2024-06-20 | 20
        0 | 2024-08-01 | 2024-08-05 | 20
        1 | 2024-06-01 | 2024-06-20 | 20
        """,
        """
        0 | 2024-01-01 | 2024-03-20 | 80 |
        0 | 2024-06-01 | 2024-06-20 | 20 | 2024-06-10
        0 | 2024-08-01 | 2024-08-05 | 5  | 2024-08-01
        1 | 2024-06-01 | 2024-06-20 | 20 |
        """,
        span_days=365,
        is_across_runs=True,
    )


@pytest.mark.parametrize(("last", "since"), [("2024-12-30", "2024-12-30"), ("2024-12-31", "")])
def test_89_days_before_and_the_90th_on_the_365th_day_but_no_later(last, since):
    check_runs(
        f"0 | 2024-01-01 | 2024-03-29 | 20\n0 | {last} | {last} | 20",
        f"0 | 2024-01-01 | 2024-03-29 | 89 |\n0 | {last} | {last} | 1 | {since}",
        span_days=365,
        is_across_runs=True,
    )


# Long-term by supply: more than 90 days with 120 days of supply or 10 fills ------------------------------------


def fills(*drawing: str) -> pl.DataFrame:
    """Fills drawn as `patient | start | days of supply`, the days empty if unknown."""
    schema = {"patient_index": pl.Int32, "start_date": pl.Date, "days_supply": pl.Int32}
    return drawn(schema, "\n".join(drawing))


def check_by_supply(fill: pl.DataFrame, then: str, end: str = "2024-12-31", **definition: int) -> None:
    run = drawn(RUN, f"0 | 2024-01-01 | {end} | 90 | 2024-01-01")
    found = dose_timeline.long_term_by_supply(run, fill, **definition)
    assert found["long_term_date"].to_list() == [date.fromisoformat(then) if then else None]


@pytest.mark.parametrize(("end", "since"), [("2024-03-30", ""), ("2024-03-31", "2024-03-31")])
def test_a_run_of_90_days_is_not_long_term_by_supply_one_of_91_is_on_its_last_day(end, since):
    check_by_supply(fills("0 | 2024-01-01 | 120"), since, end)


@pytest.mark.parametrize(("supply", "since"), [(29, ""), (30, "2024-05-01")])
def test_119_days_of_supply_are_not_enough_120_are_on_the_day_they_are_handed_out(supply, since):
    check_by_supply(fills("0 | 2024-01-01 | 90", f"0 | 2024-05-01 | {supply}"), since)


@pytest.mark.parametrize(("count", "since"), [(9, ""), (10, "2024-04-10")])
def test_9_fills_are_not_enough_10_are(count, since):
    check_by_supply(fills(*(f"0 | 2024-04-{day:02} | 3" for day in range(1, count + 1))), since)


def test_10_fills_before_the_91st_day_wait_for_it():
    check_by_supply(fills(*["0 | 2024-02-01 | 3"] * 10), "2024-03-31")


def test_a_fill_of_unknown_supply_is_a_fill_and_adds_no_days():
    check_by_supply(fills("0 | 2024-01-01 | 119", "0 | 2024-04-01 |"), "")
    check_by_supply(fills(*["0 | 2024-04-01 |"] * 10), "2024-04-01")


@pytest.mark.parametrize(("second", "since"), [("2024-12-30", "2024-12-30"), ("2024-12-31", "")])
def test_supply_of_more_than_a_year_ago_does_not_count(second, since):
    check_by_supply(fills("0 | 2024-01-01 | 60", f"0 | {second} | 60"), since)


def test_fills_outside_the_run_and_of_another_patient_do_not_count():
    check_by_supply(fills("0 | 2023-12-31 | 60", "0 | 2024-04-01 | 60", "1 | 2024-04-01 | 60"), "")
    check_by_supply(fills("0 | 2024-04-01 | 60", "0 | 2024-07-01 | 60"), "", end="2024-06-30")


def test_each_run_has_its_own_day():
    run = drawn(
        RUN,
        """
        0 | 2024-01-01 | 2024-06-30 | 90 |
        0 | 2024-10-01 | 2024-12-31 | 90 |
        2 | 2024-01-01 | 2024-06-30 | 90 | 2024-02-01
        """,
    )
    fill = fills("0 | 2024-12-31 | 120", "2 | 2024-01-01 | 60", "2 | 2024-05-01 | 60", "0 | 2024-01-01 | 119")
    assert dose_timeline.long_term_by_supply(run, fill)["long_term_date"].to_list() == [
        None,
        date(2024, 12, 31),
        date(2024, 5, 1),
    ]


def test_no_run_and_no_fill_give_nothing():
    assert dose_timeline.long_term_by_supply(drawn(RUN, ""), fills("0 | 2024-01-01 | 120")).is_empty()
    check_by_supply(fills(), "")


@pytest.mark.parametrize("min_covered_days", [0, 121])
def test_covered_days_that_the_span_cannot_hold_are_refused(min_covered_days):
    with pytest.raises(ValueError, match="not between 1 and span_days"):
        check_runs("", "", span_days=120, min_covered_days=min_covered_days)


# Faulty input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faulty",
    [
        "  | 2024-01-01 | 2024-01-02 | 7777777",
        "0 |            | 2024-01-02 | 7777777",
        "0 | 2024-01-01 |            | 7777777",
        "0 | 2024-01-02 | 2024-01-01 | 7777777",
        "-1 | 2024-01-01 | 2024-01-02 | 7777777",
    ],
)
def test_a_record_without_patient_or_dates_or_that_ends_before_it_starts_is_refused_by_count(faulty):
    record = drawn(RECORD, f"0 | 2024-01-01 | 2024-01-02 | 7777777\n{faulty}\n{faulty}")
    with pytest.raises(ValueError, match=r"^record: 2 rows lack .*") as error:
        dose_timeline.dose_period(record)
    assert not any(value in str(error.value) for value in ("7777777", "2024"))
    window = record.select(list(WINDOW))
    with pytest.raises(ValueError, match=r"^window: 2 rows lack .*"):
        dose_timeline.window_totals(dose_timeline.dose_period(records("")), window)


def test_a_negative_dose_is_refused_by_count():
    with pytest.raises(ValueError, match="1 rows have a negative dose"):
        dose_timeline.dose_period(drawn(RECORD, "0 | 2024-01-01 | 2024-01-02 | -1"))


def test_dates_too_far_apart_to_pack_are_refused_and_not_wrapped_around():
    crowd = pl.select(
        patient_index=(2**31 - 2**15 + pl.int_range(2**17) % 2**15).cast(pl.Int32),
        start_date=date(2024, 1, 1),
        end_date=pl.lit(2**31 - 2, pl.Int32).cast(pl.Date),
        dose_micro_mme=pl.lit(1_000_000),
    )
    assert dose_timeline.dose_period(crowd.head(2**15)).height == 2**15
    with pytest.raises(ValueError, match="too far apart"):
        dose_timeline.dose_period(crowd)


@pytest.mark.parametrize(
    "function",
    [
        dose_timeline.dose_increase,
        dose_timeline.therapy_run,
        lambda period: dose_timeline.window_totals(period, period),
    ],
)
def test_periods_that_overlap_are_no_timeline(function):
    period = drawn(PERIOD, "0 | 2024-01-01 | 2024-01-10 | 20 | no\n0 | 2024-01-10 | 2024-01-20 | 30 | no")
    with pytest.raises(ValueError, match="1 rows overlap"):
        function(period)


# Against the oracle ---------------------------------------------------------------------------------------------

PROPERTY = settings(deadline=None)
FIRST_DAY = date(1969, 12, 1)  # days before 1970 count below zero
MICRO_MME = st.one_of(
    st.none(),
    st.sampled_from([0, 499, 500, 33_333_333, 23_333_333, 30_000_000, 30_000_400]),
    st.integers(0, 10**13),
)


@st.composite
def a_record(draw, days: int = 60):
    start = FIRST_DAY + timedelta(days=draw(st.integers(0, days)))
    length = draw(st.integers(0, days // 4))
    # Far-apart patients fall into different batches.
    patient = draw(st.sampled_from([0, 1, 2, 8_191, 8_192, 100_000]))
    return patient, start, start + timedelta(days=length), draw(MICRO_MME)


a_history = st.lists(a_record(), max_size=12)


def frame(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RECORD, orient="row")


@PROPERTY
@given(a_history)
def test_periods_agree_with_the_oracle(rows):
    found = dose_timeline.dose_period(frame(rows))
    assert found.schema == PERIOD
    assert found.rows() == oracle.dose_period(oracle.daily_dose(rows))


@PROPERTY
@given(a_history, st.lists(a_record(days=90), max_size=5))
def test_window_totals_agree_with_the_oracle(rows, windows):
    window = frame(windows).select(list(WINDOW))
    found = dose_timeline.window_totals(dose_timeline.dose_period(frame(rows)), window)
    days = oracle.daily_dose(rows)
    assert found.rows() == [(*row, *oracle.window_total(days, *row)) for row in window.rows()]


@PROPERTY
@given(a_history)
def test_increases_agree_with_the_oracle(rows):
    found = dose_timeline.dose_increase(dose_timeline.dose_period(frame(rows)))
    assert found.rows() == oracle.dose_increase(oracle.daily_dose(rows))


@PROPERTY
@given(a_history, st.integers(0, 12), st.integers(1, 40), st.booleans(), st.data())
def test_therapy_runs_agree_with_the_oracle(rows, bridge_days, span_days, is_across_runs, data):
    definition = (bridge_days, span_days, data.draw(st.integers(1, span_days)), is_across_runs)
    found = dose_timeline.therapy_run(dose_timeline.dose_period(frame(rows)), *definition)
    assert found.rows() == oracle.therapy_run(oracle.daily_dose(rows), *definition)


@PROPERTY
@given(a_history, st.integers(0, 12), st.tuples(*(st.integers(1, most) for most in (20, 20, 4, 40))))
def test_runs_long_term_by_supply_agree_with_the_oracle(rows, bridge_days, definition):
    fill = frame(rows).select(
        "patient_index", "start_date", days_supply=(pl.col("end_date") - pl.col("start_date")).dt.total_days() + 1
    )
    run = dose_timeline.therapy_run(dose_timeline.dose_period(frame(rows)), bridge_days)
    found = dose_timeline.long_term_by_supply(run, fill, *definition)
    assert found["long_term_date"].to_list() == oracle.long_term_by_supply(run.rows(), fill.rows(), *definition)


# Properties -----------------------------------------------------------------------------------------------------


@PROPERTY
@given(a_history, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    period = dose_timeline.dose_period(frame(rows))
    assert dose_timeline.dose_period(frame(shuffled)).equals(period)
    order = list(range(period.height))
    random.shuffle(order)
    moved = period[order]
    assert dose_timeline.dose_increase(moved).equals(dose_timeline.dose_increase(period))
    assert dose_timeline.therapy_run(moved, 5, 20, 10).equals(dose_timeline.therapy_run(period, 5, 20, 10))
    window = frame(rows).select(list(WINDOW))
    assert dose_timeline.window_totals(moved, window).equals(dose_timeline.window_totals(period, window))


@PROPERTY
@given(a_history, st.integers(0, 20))
def test_the_size_of_a_batch_changes_nothing(rows, bits):
    period = dose_timeline.dose_period(frame(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dose_timeline, "_BATCH_BITS", bits)
        assert dose_timeline.dose_period(frame(rows)).equals(period)


@PROPERTY
@given(st.lists(a_record().map(lambda row: (*row[:3], (row[3] or 0) // 1000 * 1000)), max_size=12))
def test_the_integral_of_the_timeline_is_the_sum_of_its_records(rows):
    """Of known doses in whole thousandths; a day's sum is rounded to these."""
    period = dose_timeline.dose_period(frame(rows))
    days = (period["end_date"] - period["start_date"]).dt.total_days().to_numpy() + 1
    milli_mme_days = np.rint(period["dose_mme"].to_numpy() * 1000).astype(np.int64) @ days
    assert milli_mme_days == sum(dose // 1000 * ((end - start).days + 1) for _, start, end, dose in rows)


@PROPERTY
@given(a_history)
def test_no_two_periods_could_be_one(rows):
    found = dose_timeline.dose_period(frame(rows)).rows()
    for (patient, _, end, *state), (next_patient, start, _, *next_state) in pairwise(found):
        if patient == next_patient:
            assert start > end
            assert start > end + timedelta(days=1) or state != next_state
