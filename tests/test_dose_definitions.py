"""Each definition of a daily dose as drawn rows, and all of them against a day-by-day oracle."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import dose_definitions, dose_timeline, overlap
from tests.oracle import daily_dose as day_oracle
from tests.oracle import dose_definitions as oracle
from tests.oracle.dose_definitions import Record

RECORD = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "fill_date": pl.Date,
    "dose_micro_mme": pl.Int64,
    "is_open_ended": pl.Boolean,
}


TIERED = ("dose_micro_mme", "tiered_micro_mg")


def records(drawing: str) -> list[Record]:
    """Records drawn as `patient | first day | days | MME a day`.

    A dose has up to six decimals, or is ? if unknown; days are ? where nobody knows how many.
    """
    rows = []
    for line in drawing.strip().splitlines():
        patient, start, days, dose = (text.strip() for text in line.split("|"))
        first = date.fromisoformat(start)
        micro_mme = None if dose == "?" else int(Decimal(dose) * 1_000_000)
        length = 1 if days == "?" else int(days)
        rows.append(Record(int(patient), first, first + timedelta(days=length - 1), first, micro_mme, days == "?"))
    return rows


def frame(rows: list[Record]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RECORD, orient="row")


def reduced(
    rows: list[Record], window: tuple[date, date], patient_count: int = 1, names=oracle.NAMES, **policy
) -> pl.DataFrame:
    record = frame(rows)
    return dose_definitions.daily_dose(
        dose_timeline.dose_period(record), record, window, patient_count, names, **policy
    )


def days(text: str) -> tuple[date, date]:
    first, last = (date.fromisoformat(day.strip()) for day in text.split("|"))
    return first, last


def check(name: str, given: str, window: str, then: str, **policy) -> None:
    """The rows of ``then`` are `patient | daily MME | is lower bound`, an empty dose being NULL."""
    rows = records(given)
    patient_count = 1 + max((row.patient_index for row in rows), default=0)
    found = reduced(rows, days(window), patient_count, [name], **policy)
    expected = []
    for line in then.strip().splitlines():
        patient, dose, bound = (text.strip() for text in line.split("|"))
        expected.append((int(patient), float(dose) if dose else None, {"yes": True, "no": False}[bound]))
    assert found.select("patient_index", "daily_mme", "is_lower_bound").rows() == expected


def test_every_definition_is_tested():
    assert tuple(dose_definitions.DEFINITIONS) == oracle.NAMES


# Published examples ---------------------------------------------------------------------------------------------

# Dasgupta's equations notebook: prescriptions as `first day | days | tablets | mg | factor`, and the whole numbers it
# prints for total days supply, fixed window of 30 days and days on therapy; the maximum is worked out by hand.
NOTEBOOK = {
    "E1": ("1|30|60|30|1.5, 1|7|14|5|1.5", 76, 94, 94, 105),
    "E2": ("1|30|60|20|1.5, 1|7|14|5|1.5, 10|7|14|5|1.5", 46, 67, 67, 75),
    "E3": ("1|7|14|5|1.5, 10|7|14|5|1.5", 15, 7, 15, 15),
    "E4": ("1|7|14|5|1.5, 3|7|14|5|1.5", 15, 7, 23, 30),
    "E5": ("1|7|14|5|1.5, 3|7|14|5|1", 13, 6, 19, 25),
    "E6": ("1|2|4|5|1.5, 3|7|14|5|1", 11, 3, 11, 15),
}


@pytest.mark.parametrize("example", NOTEBOOK)
def test_the_notebook_of_the_equations_prints_these_whole_numbers(example):
    drawing, total_days, fixed, on_therapy, highest = NOTEBOOK[example]
    rows = []
    for prescription in drawing.split(", "):
        first, length, tablets, mg, factor = prescription.split("|")
        dose = Fraction(tablets) * Fraction(mg) * Fraction(factor) / int(length)
        start = date(2024, 1, int(first))
        rows.append(Record(0, start, start + timedelta(days=int(length) - 1), start, int(dose * 10**6)))
    found = reduced(rows, days("2024-01-01 | 2024-01-30"), names=[f"dasgupta_{number}" for number in (1, 3, 2, 4)])
    assert [int(dose + 0.5) for dose in found["daily_mme"]] == [total_days, fixed, on_therapy, highest]


EARLY_REFILL = """
0 | 2025-01-01 | 30 | 60
0 | 2025-01-26 | 30 | 60
"""


@pytest.mark.parametrize(
    ("policy", "def1", "def2", "highest", "last_day"),
    [
        ("sum", 60, 65.455, 120, date(2025, 2, 24)),
        ("carry_forward_same_drug", 60, 60, 60, date(2025, 3, 1)),
        ("carry_forward_same_ingredient", 60, 60, 60, date(2025, 3, 1)),
        ("truncate_at_next_fill", 60, 60, 60, date(2025, 2, 24)),
    ],
)
def test_an_early_refill_doubles_five_days_only_where_supplies_are_summed(policy, def1, def2, highest, last_day):
    supply = frame(records(EARLY_REFILL)).with_columns(
        days_supply=pl.lit(30, pl.Int32), drug_number=pl.lit(0, pl.Int32), ingredient_number=pl.lit(0, pl.Int32)
    )
    record = overlap.overlapped(supply.drop("fill_date"), policy)
    period = dose_timeline.dose_period(record)
    found = dose_definitions.daily_dose(
        period, record, days("2025-01-01 | 2025-12-31"), 1, ["dasgupta_1", "dasgupta_2", "dasgupta_4"]
    )
    assert found["daily_mme"].to_list() == [def1, def2, highest]
    assert period["end_date"].max() == last_day
    doubled = period.filter(pl.col("dose_mme") == 120)
    assert doubled.rows() == ([(0, date(2025, 1, 26), date(2025, 1, 30), 120.0, False)] if policy == "sum" else [])


def test_a_changeover_on_the_last_day_exceeds_90_for_one_day():
    switch = """
    0 | 2025-01-01 | 30 | 45
    0 | 2025-01-30 | 30 | 60
    """
    for day, dose in (("2025-01-29", 45), ("2025-01-30", 105), ("2025-01-31", 60)):
        check("dasgupta_4", switch, f"{day} | {day}", f"0 | {dose} | no")


def test_a_patch_of_37_5_mcg_per_hour_is_exactly_90_and_so_at_least_but_not_above_90():
    dose = Decimal("37.5") * Decimal("2.4")
    for name in oracle.NAMES:
        found = reduced(records(f"0 | 2025-01-01 | 90 | {dose}"), days("2025-01-01 | 2025-03-31"), names=[name])
        for value in found["daily_mme"].drop_nulls():
            assert value >= 90
            assert not value > 90


def test_three_times_fifty_thirds_are_50_and_not_above():
    check("dasgupta_4", "0 | 2025-01-01 | 3 | 16.666667\n" * 3, "2025-01-01 | 2025-01-03", "0 | 50 | no")


@pytest.mark.parametrize(("clips", "daily_mme"), [(True, "69.677"), (False, "116.129")])
def test_supply_is_clipped_to_the_window_unless_whole_supplies_count(clips, daily_mme):
    check("dasgupta_3", EARLY_REFILL, "2025-01-01 | 2025-01-31", f"0 | {daily_mme} | no", clips=clips)


# Windows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "daily_mme"),
    [
        ("dasgupta_1", 26),  # 7 x 20 + 3 x 40, over 7 + 3 days
        ("dasgupta_2", 32.5),
        ("dasgupta_3", 26),
        ("dasgupta_4", 60),
        ("zedler_sum", 60),
        ("cms_oms", 32.5),
        ("cdc_pdmp_quarterly", 32.5),
        ("rolling_7", 34.286),  # from the 2nd to the 8th
    ],
)
def test_only_days_of_the_window_count_and_both_its_ends_do(name, daily_mme):
    check(
        name,
        """
        0 | 2023-12-01 | 31 | 99
        0 | 2023-12-30 | 9  | 20
        0 | 2024-01-06 | 3  | 40
        0 | 2024-01-11 | 9  | 99
        """,
        "2024-01-01 | 2024-01-10",
        f"0 | {daily_mme} | no",
    )


@pytest.mark.parametrize("window", ["2024-01-01 | 2024-01-01", "2024-01-10 | 2024-01-10"])
def test_a_window_of_one_day_has_the_dose_of_that_day(window):
    for name in ("dasgupta_1", "dasgupta_2", "dasgupta_3", "dasgupta_4", "cms_oms", "cdc_pdmp_quarterly"):
        check(name, "0 | 2024-01-01 | 10 | 20", window, "0 | 20 | no")


@pytest.mark.parametrize(
    ("name", "daily_mme"),
    [
        ("dasgupta_1", ""),
        ("dasgupta_2", ""),
        ("dasgupta_3", "0"),
        ("dasgupta_4", "0"),
        ("zedler_sum", ""),
        ("cms_oms", ""),
        ("hedis_hdo", ""),
        ("cms460", ""),
        ("rolling_7", "0"),
        ("rolling_90", "0"),
    ],
)
def test_without_supply_in_the_window_the_dose_is_zero_where_a_definition_has_days_of_its_own(name, daily_mme):
    """Patient 0 has supply at another time, patient 1 none at all."""
    rows = records("0 | 2023-01-01 | 10 | 20")
    found = reduced(rows, days("2024-01-01 | 2024-12-31"), 2, [name])
    dose = float(daily_mme) if daily_mme else None
    assert found.select("patient_index", "daily_mme", "is_lower_bound").rows() == [(0, dose, False), (1, dose, False)]


def test_without_any_record_every_patient_has_a_row_but_no_quarter():
    found = reduced([], days("2024-01-01 | 2024-12-31"), 3)
    assert found.schema == dose_definitions.SCHEMA
    assert found.height == 3 * (len(oracle.NAMES) - 1)


def test_without_any_patient_there_is_no_row():
    found = reduced([], days("2024-01-01 | 2024-12-31"), 0)
    assert found.schema == dose_definitions.SCHEMA
    assert found.is_empty()


# Unknown doses --------------------------------------------------------------------------------------------------

LONG = "0 | 2024-01-01 | 100 | 60\n0 | 2024-01-02 | 99 | 40"


@pytest.mark.parametrize("name", oracle.NAMES)
def test_an_unknown_dose_makes_a_lower_bound_of_every_definition(name):
    window = days("2024-01-01 | 2024-03-31")
    known = reduced(records(LONG), window, names=[name]).rows()
    touched = reduced(records(f"{LONG}\n0 | 2024-03-31 | 1 | ?"), window, names=[name])
    assert [row[3] for row in known] == [False]
    assert touched["is_lower_bound"].to_list() == [True]
    assert touched["daily_mme"][0] is not None


@pytest.mark.parametrize("name", oracle.NAMES)
def test_an_unknown_dose_outside_the_window_touches_no_definition(name):
    found = reduced(records(f"{LONG}\n0 | 2024-04-01 | 30 | ?"), days("2024-01-01 | 2024-03-31"), names=[name])
    assert found["is_lower_bound"].to_list() == [False]


@pytest.mark.parametrize("name", oracle.NAMES)
def test_where_no_dose_is_known_there_is_no_number_and_never_zero(name):
    unknown = "0 | 2024-01-01 | 91 | ?\n0 | 2024-01-02 | 20 | ?"
    check(name, unknown, "2024-01-01 | 2024-03-31", "0 |  | yes")


def test_a_known_dose_of_zero_is_zero():
    for name in oracle.NAMES:
        zero = "0 | 2024-01-01 | 91 | 0\n0 | 2024-01-02 | 20 | 0"
        check(name, zero, "2024-01-01 | 2024-03-31", "0 | 0 | no")


def test_an_unknown_dose_of_one_patient_leaves_the_other_as_it_is():
    check(
        "dasgupta_3",
        """
        0 | 2024-01-01 | 5 | 20
        1 | 2024-01-01 | 5 | ?
        2 | 2024-01-01 | 5 | 40
        """,
        "2024-01-01 | 2024-01-10",
        """
        0 | 10 | no
        1 |    | yes
        2 | 20 | no
        """,
    )


def test_an_unknown_dose_is_in_the_days_supply_of_total_days():
    check("dasgupta_1", "0 | 2024-01-01 | 5 | 20\n0 | 2024-01-01 | 5 | ?", "2024-01-01 | 2024-01-10", "0 | 10 | yes")


# On therapy -----------------------------------------------------------------------------------------------------

GAPS = """
0 | 2024-01-01 | 10 | 20
0 | 2024-01-18 | 10 | 20
0 | 2024-02-05 | 10 | 20
"""


@pytest.mark.parametrize(
    ("gap_tolerance_days", "daily_mme"), [(0, "20"), (6, "20"), (7, "16.216"), (8, "13.333"), (400, "13.333")]
)
def test_gaps_up_to_the_tolerance_are_on_therapy(gap_tolerance_days, daily_mme):
    """Gaps of 7 and of 8 days; the days before the first and after the last supply are in no gap."""
    check("dasgupta_2", GAPS, "2023-01-01 | 2024-12-31", f"0 | {daily_mme} | no", gap_tolerance_days=gap_tolerance_days)


def test_the_tolerance_bridges_gaps_of_no_other_definition():
    window = days("2024-01-01 | 2024-03-31")
    others = [name for name in oracle.NAMES if name != "dasgupta_2"]
    without, with_tolerance = (reduced(records(GAPS), window, names=others, gap_tolerance_days=gap) for gap in (0, 30))
    assert with_tolerance.equals(without)


def test_a_gap_between_two_patients_is_none():
    check(
        "dasgupta_2",
        """
        0 | 2024-01-01 | 10 | 20
        1 | 2024-01-15 | 10 | 20
        """,
        "2024-01-01 | 2024-12-31",
        """
        0 | 20 | no
        1 | 20 | no
        """,
        gap_tolerance_days=30,
    )


# CMS OMS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "first_of_six"),
    [
        ("2024-12-31", "2024-07-01"),
        ("2024-06-30", "2024-01-01"),
        ("2024-08-31", "2024-03-01"),
        ("2024-02-29", "2023-09-01"),
        ("2024-12-15", "2024-06-16"),
    ],
)
def test_oms_looks_at_the_last_six_months(last, first_of_six):
    since = date.fromisoformat(first_of_six)
    before = since - timedelta(days=1)
    found = reduced(
        records(f"0 | {before} | 1 | 500\n0 | {since} | 1 | 20"), days(f"2020-01-01 | {last}"), names=["cms_oms"]
    )
    assert found.rows() == [(0, "cms_oms", 20.0, False, since, date.fromisoformat(last))]


def test_oms_never_looks_further_back_than_the_window():
    found = reduced(records("0 | 2024-11-01 | 60 | 20"), days("2024-12-01 | 2024-12-31"), names=["cms_oms"])
    assert found.rows() == [(0, "cms_oms", 20.0, False, date(2024, 12, 1), date(2024, 12, 31))]


def test_oms_divides_by_the_days_from_the_first_to_the_last_in_supply():
    check("cms_oms", GAPS, "2024-01-01 | 2024-03-31", "0 | 13.333 | no")


# HEDIS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawing", "daily_mme"),
    [
        ("0 | 2024-01-01 | 14 | 90\n0 | 2024-01-15 | 1 | 90", "90"),  # 15 days, two dates
        ("0 | 2024-01-01 | 13 | 90\n0 | 2024-01-14 | 1 | 90", ""),  # 14 days
        ("0 | 2024-01-01 | 14 | 90\n0 | 2024-01-14 | 1 | 90", ""),  # 15 days supply, 14 covered
        ("0 | 2024-01-01 | 30 | 90", ""),  # one fill
        ("0 | 2024-01-01 | 30 | 45\n0 | 2024-01-01 | 30 | 45", ""),  # two fills on one date
        ("0 | 2024-01-01 | 30 | 45\n0 | 2024-01-02 | 29 | 45", "88.5"),
        ("0 | 2024-01-01 | 15 | 90\n0 | 2024-01-31 | 15 | 90", "60"),  # a gap lowers the average
        ("0 | 2023-12-31 | 30 | 45\n0 | 2024-01-02 | 30 | 45", ""),  # one fill in the window
        ("0 | 2024-12-01 | 31 | 45\n0 | 2025-01-01 | 30 | 45", ""),
        ("0 | 2024-01-01 | 30 | 45\n0 | 2024-12-31 | 30 | 45", "3.811"),
    ],
)
def test_hedis_needs_fills_on_two_dates_of_the_window_and_15_covered_days(drawing, daily_mme):
    check("hedis_hdo", drawing, "2024-01-01 | 2024-12-31", f"0 | {daily_mme} | no")


def test_fills_of_one_date_stay_of_one_date_when_the_second_is_carried_forward():
    record = frame(records("0 | 2024-01-01 | 30 | 90\n0 | 2024-01-31 | 30 | 90")).with_columns(
        fill_date=date(2024, 1, 1)
    )
    found = dose_definitions.daily_dose(
        dose_timeline.dose_period(record), record, days("2024-01-01 | 2024-12-31"), 1, ["hedis_hdo"]
    )
    assert found["daily_mme"].to_list() == [None]


# CMS460 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawing", "daily_mme"),
    [
        ("0 | 2024-01-01 | 90 | 90", "90"),
        ("0 | 2024-01-01 | 89 | 90", ""),
        ("0 | 2024-01-01 | 45 | 90\n0 | 2024-02-22 | 45 | 90", "90"),  # a gap of 7 days
        ("0 | 2024-01-01 | 45 | 90\n0 | 2024-02-23 | 45 | 90", ""),  # of 8 days
        ("0 | 2024-01-01 | 45 | 90\n0 | 2024-02-22 | 44 | 90", ""),  # 89 days, the gap is not covered
        ("0 | 2024-01-01 | 90 | 90\n0 | 2024-03-31 | 30 | 40", "90"),
        ("0 | 2024-01-01 | 89 | 90\n0 | 2024-03-30 | 30 | 40", "40"),  # 89 days at 90
        ("0 | 2024-01-01 | 100 | 40\n0 | 2024-02-01 | 10 | 900", "40"),  # a peak of ten days
        ("0 | 2024-01-01 | 90 | 30\n0 | 2024-06-01 | 90 | 50", "50"),  # the higher of two runs
        ("0 | 2024-01-01 | 90 | 50\n0 | 2024-06-01 | 90 | 30", "50"),
        ("0 | 2024-01-01 | 90 | 50\n0 | 2024-06-01 | 89 | 99", "50"),  # the second run is too short
    ],
)
def test_cms460_is_the_dose_of_90_days_in_a_run_with_gaps_of_at_most_7(drawing, daily_mme):
    check("cms460", drawing, "2024-01-01 | 2024-12-31", f"0 | {daily_mme} | no")


def test_days_of_two_patients_are_no_run():
    check(
        "cms460",
        """
        0 | 2024-01-01 | 45 | 90
        1 | 2024-02-15 | 45 | 90
        2 | 2024-01-01 | 90 | 20
        """,
        "2024-01-01 | 2024-12-31",
        """
        0 |    | no
        1 |    | no
        2 | 20 | no
        """,
    )


# Quarters -------------------------------------------------------------------------------------------------------


def test_each_quarter_with_supply_has_its_own_mean_over_days_in_supply():
    drawing = """
    0 | 2024-03-31 | 2  | 20
    0 | 2024-04-01 | 10 | 40
    0 | 2024-12-31 | 2  | ?
    1 | 2024-09-30 | 1  | 60
    """
    found = reduced(records(drawing), days("2024-02-01 | 2024-12-30"), 3, ["cdc_pdmp_quarterly"])
    name = "cdc_pdmp_quarterly"
    assert found.sort("patient_index", "window_start").rows() == [
        (0, name, 20.0, False, date(2024, 2, 1), date(2024, 3, 31)),
        (0, name, 42.0, False, date(2024, 4, 1), date(2024, 6, 30)),
        (1, name, 60.0, False, date(2024, 7, 1), date(2024, 9, 30)),
    ]


def test_an_unknown_dose_touches_its_own_quarter_alone():
    drawing = "0 | 2024-01-01 | 91 | 20\n0 | 2024-04-01 | 10 | ?\n0 | 2024-07-01 | 10 | ?\n0 | 2024-07-10 | 1 | 20"
    found = reduced(records(drawing), days("2024-01-01 | 2024-12-31"), 1, ["cdc_pdmp_quarterly"])
    assert found.select("daily_mme", "is_lower_bound").rows() == [(20.0, False), (None, True), (2.0, True)]


# Rolling means --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("span_days", dose_definitions.ROLLING_DAYS)
def test_a_window_shorter_than_the_span_has_no_rolling_mean(span_days):
    last = date(2024, 1, 1) + timedelta(days=span_days - 1)
    name = f"rolling_{span_days}"
    check(name, "0 | 2024-01-01 | 200 | 20", f"2024-01-01 | {last}", "0 | 20 | no")
    check(name, "0 | 2024-01-01 | 200 | 20", f"2024-01-01 | {last - timedelta(days=1)}", "0 |  | no")


@pytest.mark.parametrize(
    ("drawing", "daily_mme"),
    [
        ("0 | 2024-01-01 | 1 | 70", "10"),  # at the very beginning
        ("0 | 2024-01-31 | 1 | 70", "10"),  # at the very end
        ("0 | 2024-01-01 | 1 | 70\n0 | 2024-01-07 | 1 | 70", "20"),  # both in seven days
        ("0 | 2024-01-01 | 1 | 70\n0 | 2024-01-08 | 1 | 70", "10"),  # never both
        ("0 | 2024-01-01 | 10 | 20\n0 | 2024-01-20 | 10 | 40", "40"),
        ("0 | 2024-01-01 | 31 | 10\n0 | 2024-01-10 | 3 | 60", "35.714"),
    ],
)
def test_a_rolling_mean_is_that_of_the_highest_seven_days(drawing, daily_mme):
    check("rolling_7", drawing, "2024-01-01 | 2024-01-31", f"0 | {daily_mme} | no")


# Thresholds and sizes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("micro_mme", "daily_mme"), [(89_999_499, 89.999), (89_999_500, 90.0), (90_000_499, 90.0), (90_000_500, 90.001)]
)
def test_half_a_thousandth_rounds_up_once(micro_mme, daily_mme):
    start = date(2024, 1, 1)
    row = Record(0, start, start + timedelta(days=99), start, micro_mme)
    known = reduced([row], (start, start + timedelta(days=99)), names=[*oracle.NAMES[:6], "rolling_90", "cms460"])
    assert known["daily_mme"].to_list() == [daily_mme] * 8


def test_five_million_mme_a_day_leave_the_other_patient_exact():
    check(
        "dasgupta_3",
        """
        0 | 2024-01-01 | 366 | 5000000
        1 | 2024-01-01 | 366 | 0.001
        """,
        "2024-01-01 | 2024-12-31",
        """
        0 | 5000000 | no
        1 | 0.001   | no
        """,
    )


def test_the_sum_of_prescriptions_is_of_their_own_doses_whatever_their_dates():
    check(
        "zedler_sum",
        """
        0 | 2024-01-01 | 1  | 33.333333
        0 | 2024-06-01 | 30 | 33.333333
        """,
        "2024-01-01 | 2024-12-31",
        "0 | 66.667 | no",
    )


# Against the oracle ---------------------------------------------------------------------------------------------

AGREEMENT = settings(deadline=None, max_examples=50)
PROPERTY = settings(deadline=None, max_examples=20)
FIRST_DAY = date(2023, 10, 1)
MICRO_MME = st.one_of(st.none(), st.sampled_from([0, 499, 500, 33_333_333, 90_000_000]), st.integers(0, 10**13))


@st.composite
def a_record(draw, dose=MICRO_MME):
    start = FIRST_DAY + timedelta(days=draw(st.integers(0, 200)))
    length = draw(st.one_of(st.integers(1, 15), st.sampled_from([28, 30, 84, 90, 95])))
    fill = start - timedelta(days=draw(st.sampled_from([0, 0, 0, 3])))
    patient = draw(st.sampled_from([0, 0, 1, 3]))  # the third has none
    micro_mme = draw(dose)
    is_open_ended = micro_mme is None and draw(st.booleans())
    return Record(
        patient, start, start + timedelta(days=0 if is_open_ended else length - 1), fill, micro_mme, is_open_ended
    )


a_history = st.lists(a_record(), max_size=8)


@st.composite
def a_window(draw):
    first = FIRST_DAY + timedelta(days=draw(st.integers(-5, 150)))
    return first, first + timedelta(days=draw(st.one_of(st.integers(0, 100), st.integers(85, 260))))


def begun_in(rows: list[Record], window: tuple[date, date]) -> list[Record]:
    return [row for row in rows if window[0] <= row.start_date <= window[1]]


@AGREEMENT
@given(a_history, a_window(), st.sampled_from([0, 1, 7, 30]))
def test_every_definition_agrees_with_the_oracle(rows, window, gap_tolerance_days):
    found = reduced(rows, window, 4, gap_tolerance_days=gap_tolerance_days)
    assert found.schema == dose_definitions.SCHEMA
    assert oracle.in_order(found.rows()) == oracle.rows(rows, window, 4, gap_tolerance_days, clips=True)


@AGREEMENT
@given(a_history, a_window())
def test_every_definition_agrees_with_the_oracle_where_whole_supplies_count(rows, window):
    rows = begun_in(rows, window)
    found = reduced(rows, window, 4, clips=False)
    assert oracle.in_order(found.rows()) == oracle.rows(rows, window, 4, 0, clips=False)


# Supply of unknown length ---------------------------------------------------------------------------------------

KNOWN_AND_OPEN = """
0 | 2024-01-01 | 30 | 30
0 | 2024-01-01 | ?  | ?
"""


@pytest.mark.parametrize("name", ["dasgupta_1", "dasgupta_2", "cms_oms", "cdc_pdmp_quarterly"])
def test_a_mean_over_days_in_supply_is_null_where_nobody_knows_how_many_they_are(name):
    check(name, KNOWN_AND_OPEN, "2024-01-02 | 2024-01-30", "0 | | yes")


@pytest.mark.parametrize("name", ["dasgupta_3", "dasgupta_4", "zedler_sum", "rolling_7"])
def test_supply_of_unknown_length_makes_all_days_that_it_may_reach_lower_bounds(name):
    check(name, KNOWN_AND_OPEN, "2024-01-02 | 2024-01-30", "0 | 30 | yes")


def test_supply_of_unknown_length_reaches_180_days():
    rows = "0 | 2024-01-01 | ? | ?\n0 | 2024-06-01 | 60 | 30"
    check("dasgupta_3", rows, "2024-06-28 | 2024-06-28", "0 | 30 | yes")
    check("dasgupta_3", rows, "2024-06-29 | 2024-06-29", "0 | 30 | no")


# Properties -----------------------------------------------------------------------------------------------------


def by_name(found: pl.DataFrame) -> pl.DataFrame:
    """A column per definition."""
    return found.filter(pl.col("definition") != "cdc_pdmp_quarterly").pivot(
        "definition", index="patient_index", values="daily_mme"
    )


whole_milli_mme = st.integers(0, 10**6).map(lambda dose: dose * 1000)


@PROPERTY
@given(st.lists(a_record(dose=whole_milli_mme), min_size=1, max_size=8), a_window())
def test_definitions_are_ordered_as_published_for_one_window_without_bridged_gaps(rows, window):
    """Clipped to the window, all doses known and in whole thousandths, each patient with supply in the window.

    def1 <= def2, since days supply count a day for every record on it; def3 <= def2, since the window has no fewer days
    than are covered in it; def2 <= def4, a mean and its maximum; def4 <= Zedler's sum, since a day's records are some
    of those in the window. A rolling mean lies below def4.
    """
    found = by_name(reduced(rows, window, 4)).drop_nulls("dasgupta_2")
    for low, high in (
        ("dasgupta_1", "dasgupta_2"),
        ("dasgupta_3", "dasgupta_2"),
        ("dasgupta_2", "dasgupta_4"),
        ("dasgupta_4", "zedler_sum"),
        ("cms_oms", "dasgupta_4"),
        ("hedis_hdo", "dasgupta_2"),
        ("cms460", "dasgupta_4"),
        ("rolling_7", "dasgupta_4"),
    ):
        both = found.drop_nulls([low, high])
        assert (both[low] <= both[high]).all(), (low, high)


def test_whole_supplies_in_a_short_window_can_turn_definitions_2_and_3_around():
    drawing, window = "0 | 2024-01-20 | 30 | 30", "2024-01-20 | 2024-01-29"
    check("dasgupta_2", drawing, window, "0 | 30 | no", clips=False)
    check("dasgupta_3", drawing, window, "0 | 90 | no", clips=False)


def test_bands_can_turn_definition_4_and_the_sum_of_prescriptions_around():
    record = methadone("0 | 2024-01-01 | 30 | 15\n0 | 2024-01-01 | 30 | 15")
    whole = record.with_columns(fill_date="start_date", is_open_ended=pl.lit(False))
    found = dose_definitions.daily_dose(
        dose_timeline.dose_period(record, BANDS),
        whole,
        days("2024-01-01 | 2024-01-30"),
        1,
        ["dasgupta_4", "zedler_sum"],
    )
    assert found["daily_mme"].to_list() == [240, 120]


def test_bridged_gaps_can_turn_definitions_1_and_2_around():
    drawing = "0 | 2024-01-01 | 10 | 20\n0 | 2024-01-21 | 10 | 20"
    window = "2024-01-01 | 2024-01-30"
    check("dasgupta_1", drawing, window, "0 | 20 | no", gap_tolerance_days=10)
    check("dasgupta_2", drawing, window, "0 | 13.333 | no", gap_tolerance_days=10)


@PROPERTY
@given(st.lists(a_record(dose=whole_milli_mme), max_size=8), a_window())
def test_the_fixed_window_times_its_days_is_the_sum_of_the_records_inside_it(rows, window):
    """Of doses in whole thousandths, supplies summed; within half a thousandth for each day of the window."""
    window_days = (window[1] - window[0]).days + 1
    found = reduced(rows, window, 4, ["dasgupta_3"])
    for patient, dose in found.select("patient_index", "daily_mme").iter_rows():
        total = sum(
            row.dose_micro_mme * max(0, (min(row.end_date, window[1]) - max(row.start_date, window[0])).days + 1)
            for row in rows
            if row.patient_index == patient
        )
        assert abs(round(dose * 1000) * 1000 * window_days - total) <= 500 * window_days


@PROPERTY
@given(a_history, a_window(), st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(rows, window, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert reduced(shuffled, window, 4).equals(reduced(rows, window, 4))


@PROPERTY
@given(a_history, a_window(), st.integers(1, 5), st.integers(0, 3))
def test_the_size_of_a_batch_changes_nothing(rows, window, patients, bits):
    whole = reduced(rows, window, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dose_definitions, "_BATCH_PATIENTS", patients)
        patch.setattr(dose_timeline, "_BATCH_BITS", bits)
        in_batches = reduced(rows, window, 4)
    order = ["patient_index", "definition", "window_start"]
    assert in_batches.sort(order).equals(whole.sort(order))


@PROPERTY
@given(a_history, a_window(), st.lists(st.sampled_from(oracle.NAMES), unique=True, min_size=1))
def test_a_definition_says_the_same_alone_and_among_others(rows, window, names):
    together = reduced(rows, window, 4)
    apart = reduced(rows, window, 4, names)
    kept = together.filter(pl.col("definition").is_in(names))
    order = ["definition", "patient_index", "window_start"]
    assert apart.sort(order).equals(kept.sort(order))


@PROPERTY
@given(a_history, a_window())
def test_no_value_is_negative_and_none_that_needs_days_is_given_without_them(rows, window):
    found = reduced(rows, window, 4)
    assert not (found["daily_mme"] < 0).any()
    assert (found["window_start"] >= window[0]).all()
    assert (found["window_end"] <= window[1]).all()


def test_many_patients_in_several_batches_agree_with_each_of_them_alone():
    rng = np.random.default_rng(1)
    rows = []
    for patient in range(0, 20_000, 97):
        for _ in range(3):
            start = FIRST_DAY + timedelta(days=int(rng.integers(0, 300)))
            end = start + timedelta(days=int(rng.integers(0, 60)))
            rows.append(Record(patient, start, end, start, int(rng.integers(0, 10**8))))
    window = (date(2024, 1, 1), date(2024, 6, 30))
    found = reduced(rows, window, 20_000)
    sample = [patient for patient in range(0, 20_000, 97 * 20)]
    for patient in sample:
        own = [row._replace(patient_index=0) for row in rows if row.patient_index == patient]
        expected = [(patient, *row[1:]) for row in oracle.rows(own, window, 1, 0, clips=True)]
        assert oracle.in_order(found.filter(pl.col("patient_index") == patient).rows()) == expected


# Bands of methadone ---------------------------------------------------------------------------------------------

BANDS = pl.DataFrame({"above_mg_per_day": [0.0, 20.0, 40.0, 60.0], "factor": [4.0, 8.0, 10.0, 12.0]})


def methadone(drawing: str) -> pl.DataFrame:
    """Records drawn as `patient | first day | days | mg a day`; `40 MME` is of another opioid, ? unknown."""
    rows = []
    for line in drawing.strip().splitlines():
        patient, start, length, amount = (text.strip() for text in line.split("|"))
        first = date.fromisoformat(start)
        is_mg = not amount.endswith("MME") and amount != "?"
        micro = None if amount == "?" else int(Decimal(amount.removesuffix(" MME")) * 10**6)
        last = first + timedelta(days=int(length) - 1)
        rows.append((int(patient), first, last, 4 * micro if is_mg else micro, micro if is_mg else None))
    schema = {name: RECORD[name] for name in list(RECORD)[:3]} | dict.fromkeys(TIERED, pl.Int64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def check_banded(given: str, then: str, bands: pl.DataFrame = BANDS) -> None:
    found = dose_timeline.dose_period(methadone(given), bands)
    expected = []
    for line in then.strip().splitlines():
        patient, first, last, dose, bound = (text.strip() for text in line.split("|"))
        expected.append(
            (int(patient), date.fromisoformat(first), date.fromisoformat(last), float(dose), bound == "yes")
        )
    assert found.rows() == expected


def test_two_prescriptions_of_15_mg_on_one_day_are_240_mme_and_not_120():
    check_banded(
        """
        0 | 2024-01-01 | 30 | 15
        0 | 2024-01-01 | 30 | 15
        """,
        "0 | 2024-01-01 | 2024-01-30 | 240 | no",
    )


def test_the_band_is_that_of_the_day_and_falls_back_when_one_ends():
    check_banded(
        """
        0 | 2024-01-01 | 10 | 15
        0 | 2024-01-06 | 10 | 15
        """,
        """
        0 | 2024-01-01 | 2024-01-05 | 60  | no
        0 | 2024-01-06 | 2024-01-10 | 240 | no
        0 | 2024-01-11 | 2024-01-15 | 60  | no
        """,
    )


@pytest.mark.parametrize(
    ("mg", "mme"),
    [
        ("0.5", "2"),
        ("1", "4"),
        ("10", "40"),
        ("20", "80"),
        ("20.0004", "80.002"),  # to 0.001 mg still 20
        ("20.0005", "160.004"),
        ("20.5", "164"),
        ("21", "168"),
        ("40", "320"),
        ("40.5", "405"),
        ("60", "600"),
        ("60.5", "726"),
        ("61", "732"),
        ("100", "1200"),
    ],
)
def test_a_band_holds_its_upper_bound_and_every_fraction(mg, mme):
    check_banded(f"0 | 2024-01-01 | 1 | {mg}", f"0 | 2024-01-01 | 2024-01-01 | {mme} | no")


def test_a_factor_of_a_band_may_have_three_decimals():
    bands = BANDS.with_columns(factor=pl.Series([4.705, 8.0, 10.0, 12.0]))
    check_banded("0 | 2024-01-01 | 1 | 10", "0 | 2024-01-01 | 2024-01-01 | 47.05 | no", bands)


def test_the_order_of_the_bands_does_not_matter():
    check_banded("0 | 2024-01-01 | 1 | 30", "0 | 2024-01-01 | 2024-01-01 | 240 | no", BANDS.reverse())


def test_other_opioids_add_up_beside_the_bands_and_lift_no_methadone_into_another():
    check_banded(
        """
        0 | 2024-01-01 | 2 | 15
        0 | 2024-01-02 | 2 | 40 MME
        0 | 2024-01-03 | 1 | ?
        """,
        """
        0 | 2024-01-01 | 2024-01-01 | 60  | no
        0 | 2024-01-02 | 2024-01-02 | 100 | no
        0 | 2024-01-03 | 2024-01-03 | 40  | yes
        """,
    )


def test_methadone_of_two_patients_is_not_added_up():
    check_banded(
        """
        0 | 2024-01-01 | 1 | 15
        1 | 2024-01-01 | 1 | 15
        """,
        """
        0 | 2024-01-01 | 2024-01-01 | 60 | no
        1 | 2024-01-01 | 2024-01-01 | 60 | no
        """,
    )


@pytest.mark.parametrize("bands", [None, BANDS.clear()])
def test_without_bands_the_doses_of_the_records_add_up(bands):
    check_banded("0 | 2024-01-01 | 1 | 15\n0 | 2024-01-01 | 1 | 15", "0 | 2024-01-01 | 2024-01-01 | 120 | no", bands)


@AGREEMENT
@given(
    st.lists(
        st.tuples(a_record(dose=st.none()), st.sampled_from([None, 40_000_000]), st.integers(0, 50_000_000)),
        max_size=8,
    )
)
def test_banded_periods_agree_with_the_oracle(rows):
    """The oracle gets what a day's mg come to as one more record of that day."""
    drawn, days_of_mg, doses = [], {}, []
    for record, other, micro_mg in rows:
        span = record.patient_index, record.start_date, record.end_date
        drawn.append((*span, 4 * micro_mg if other is None else other, micro_mg if other is None else None))
        doses.append((*span, 0 if other is None else other))
        for day in day_oracle.days_between(record.start_date, record.end_date) if other is None else ():
            key = record.patient_index, day
            days_of_mg[key] = days_of_mg.get(key, 0) + micro_mg
    for (patient, day), micro_mg in days_of_mg.items():
        milli_mg = (micro_mg + 500) // 1000
        factor = next(factor for above, factor in ((60, 12), (40, 10), (20, 8), (-1, 4)) if milli_mg > above * 1000)
        doses.append((patient, day, day, micro_mg * factor))
    schema = {name: RECORD[name] for name in list(RECORD)[:3]} | dict.fromkeys(TIERED, pl.Int64)
    found = dose_timeline.dose_period(pl.DataFrame(drawn, schema=schema, orient="row"), BANDS)
    assert found.rows() == day_oracle.dose_period(day_oracle.daily_dose(doses))
