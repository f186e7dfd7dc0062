"""How definitions of escalation and taper measure a change of the dose, drawn; and their events against an oracle."""

from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines import dose_change, dose_timeline, warehouse
from pipelines.settings import Settings
from tests.conftest import CONTRACTS, PARAMETERS, draw, rows_of, sql_file
from tests.oracle import daily_dose, dose_event
from tests.sql.drawing import INDEX_DATE, day, drawn

PERIOD = {
    "patient_index": pl.Int32,
    "start_date": pl.Date,
    "end_date": pl.Date,
    "dose_mme": pl.Float64,
    "is_lower_bound": pl.Boolean,
}
FOLLOW_UP = {"patient_index": pl.Int32, "last_date": pl.Date}


def period(drawing: str) -> pl.DataFrame:
    """Runs of patient 1; a dose with a + is a lower bound."""
    rows = [
        (
            1,
            date.fromisoformat(row["start_date"]),
            date.fromisoformat(row["end_date"]),
            float(row["dose_mme"].rstrip("+")),
            row["dose_mme"].endswith("+"),
        )
        for row in rows_of(drawn("start_date | end_date | dose_mme\n-\n" + drawing))
    ]
    return pl.DataFrame(rows, schema=PERIOD, orient="row")


def measured(drawing: str, rule: str, on: int = 0, last: int | None = 900, definition="on_therapy_days") -> dict:
    """What one definition measures at one change of patient 1."""
    last_date = None if last is None else day(last)
    follow_up = pl.DataFrame([(1, last_date)], schema=FOLLOW_UP, orient="row")
    found = dose_change.measured(period(drawing), follow_up, Settings(), definition)
    event, of = rule.split()
    rows = found.filter(pl.col("event") == event, pl.col("definition") == of, pl.col("change_date") == day(on)).rows(
        named=True
    )
    return rows[0] if rows else {}


RISE = ["hayes_2020", "morasco_2020", "henry_2015", "default"]
FALL = ["taper fenton_2019", "taper default", "abrupt_cut default"]


@pytest.mark.parametrize(
    ("rule", "before", "after_from", "after_to"),
    [
        ("escalation hayes_2020", -182, 0, 181),
        ("escalation morasco_2020", -90, 0, 59),
        ("escalation henry_2015", -90, 275, 364),
        ("escalation default", -90, 0, 59),
        # the windows after are equally low: the first of them
        ("taper fenton_2019", -360, 0, 59),
        ("taper default", -90, 0, 59),
        ("abrupt_cut default", -30, 0, 29),
    ],
)
def test_each_definition_has_its_windows(rule, before, after_from, after_to):
    change = ("D-400 | D-1 | 60", "D+0 | D+400 | 30") if rule[0] != "e" else ("D-400 | D-1 | 60", "D+0 | D+400 | 90")
    found = measured("\n".join(change), rule)
    assert found["before_start_date"] == day(before)
    assert (found["after_start_date"], found["after_end_date"]) == (day(after_from), day(after_to))
    assert (found["before_mme"], found["after_mme"]) == (60, 30 if rule[0] != "e" else 90)
    assert (found["before_coverage"], found["after_coverage"], found["is_stable"]) == (1, 1, True)


def test_a_rise_is_measured_by_every_definition_of_one_and_by_no_other():
    found = dose_change.measured(
        period("D-9 | D-1 | 60\nD+0 | D+9 | 90"), pl.DataFrame(schema=FOLLOW_UP), Settings(), "on_therapy_days"
    )
    on_rise = found.filter(pl.col("change_date") == day(0)).select("event", "definition").rows()
    assert on_rise == [("escalation", definition) for definition in RISE]
    at_the_end = found.filter(pl.col("change_date") == day(10)).select("event", "definition").rows()
    assert [" ".join(rule) for rule in at_the_end] == FALL


def test_the_first_28_days_of_a_rise_are_measured_apart():
    assert measured("D-90 | D-1 | 60\nD+0 | D+27 | 90\nD+28 | D+60 | 60", "escalation default")["sustained_mme"] == 90
    assert measured("D-90 | D-1 | 60\nD+0 | D+13 | 90\nD+14 | D+60 | 60", "escalation default")["sustained_mme"] == 75


@pytest.mark.parametrize("days", [1, 7, 14, 20, 27])
def test_a_rise_that_is_taken_back_within_28_days_is_never_the_less_sustained(days):
    """Its mean of 28 days is above that of 60, so that a rise large enough for the one is for the other."""
    found = measured(f"D-90 | D-1 | 30\nD+0 | D+{days - 1} | 120\nD+{days} | D+60 | 30", "escalation default")
    assert found["sustained_mme"] > found["after_mme"] > 30


def test_a_mean_is_over_the_days_in_supply_or_over_all_as_the_study_says():
    supply = "D-90 | D-1 | 60\nD+0 | D+29 | 90"
    assert measured(supply, "escalation default")["after_mme"] == 90
    assert measured(supply, "escalation default", definition="window_days")["after_mme"] == 45
    assert measured(supply, "escalation default")["after_coverage"] == 0.5


def test_days_of_unknown_dose_are_counted_before_and_after():
    found = measured("D-90 | D-80 | 60+\nD-79 | D-1 | 60\nD+0 | D+49 | 90\nD+50 | D+99 | 90+", "escalation default")
    assert (found["before_lower_bound_days"], found["after_lower_bound_days"]) == (11, 10)


@pytest.mark.parametrize("supply", ["D-90 | D-1 | 60+\nD+0 | D+60 | 90", "D-90 | D-1 | 60\nD+0 | D+60 | 90+"])
def test_next_to_an_unknown_dose_nobody_knows_of_a_rise(supply):
    assert measured(supply, "escalation default") == {}


@pytest.mark.parametrize("supply", ["D-90 | D-1 | 60+\nD+0 | D+60 | 30", "D-90 | D-1 | 60\nD+0 | D+60 | 30+"])
def test_next_to_an_unknown_dose_nobody_knows_of_a_fall(supply):
    assert measured(supply, "taper default") == {}


# Falls


def test_of_the_six_windows_after_a_fall_the_lowest_counts():
    falling = "D-90 | D-1 | 60\nD+0 | D+89 | 50\nD+90 | D+149 | 20\nD+150 | D+400 | 50"
    found = measured(falling, "taper default")
    assert (found["after_start_date"], found["after_end_date"], found["after_mme"]) == (day(90), day(149), 20)


def test_a_fall_after_the_last_of_the_six_windows_is_not_seen():
    falling = "D-90 | D-1 | 60\nD+0 | D+209 | 59\nD+210 | D+400 | 1"
    assert measured(falling, "taper default")["after_mme"] == 59


def test_supply_that_ends_is_a_dose_of_nothing_and_a_gap_is_not():
    assert measured("D-90 | D-1 | 60", "taper default")["after_mme"] == 0
    assert measured("D-90 | D-1 | 60", "abrupt_cut default")["after_mme"] == 0
    assert measured("D-90 | D-1 | 60\nD+29 | D+300 | 60", "abrupt_cut default")["after_mme"] == 60
    assert measured("D-90 | D-1 | 60\nD+59 | D+300 | 60", "taper default")["after_mme"] == 60


@pytest.mark.parametrize(("last", "after_mme"), [(59, 50), (89, 35), (209, 20), (58, None), (None, None)])
def test_only_windows_that_were_followed_up_count_after_a_fall(last, after_mme):
    falling = "D-90 | D-1 | 60\nD+0 | D+59 | 50\nD+60 | D+400 | 20"
    found = measured(falling, "taper default", last=last)
    assert found["after_mme"] == after_mme
    if after_mme is None:
        assert found["after_end_date"] is None


def test_a_window_with_an_unknown_dose_does_not_count_after_a_fall():
    falling = "D-90 | D-1 | 60\nD+0 | D+100 | 50\nD+101 | D+110 | 10+\nD+111 | D+400 | 45"
    found = measured(falling, "taper default")
    assert (found["after_start_date"], found["after_mme"], found["after_lower_bound_days"]) == (day(120), 45, 10)


# Stable baselines


@pytest.mark.parametrize(
    ("first_month", "is_stable"),
    # the mean moves with the month: 10 % from it are 69.47 and 51.43
    [("60", True), ("69.4", True), ("69.5", False), ("51.5", True), ("51.4", False)],
)
def test_the_months_of_a_stable_baseline_are_within_10_percent_of_its_mean(first_month, is_stable):
    supply = f"D-90 | D-61 | {first_month}\nD-60 | D-1 | 60\nD+0 | D+60 | 90"
    assert measured(supply, "escalation morasco_2020")["is_stable"] == is_stable


def test_a_month_exactly_10_percent_off_is_stable():
    # 33 + 27 + 30 over three months are 30 on average
    supply = "D-90 | D-61 | 33\nD-60 | D-31 | 27\nD-30 | D-1 | 30\nD+0 | D+60 | 90"
    assert measured(supply, "escalation morasco_2020")["is_stable"]


@pytest.mark.parametrize(("start", "is_stable"), [("D-84", True), ("D-83", False)])
def test_the_months_of_a_stable_baseline_are_covered(start, is_stable):
    supply = f"{start} | D-1 | 60\nD+0 | D+60 | 90"
    assert measured(supply, "escalation morasco_2020")["is_stable"] == is_stable


@pytest.mark.parametrize(("start", "is_stable"), [("D-360", True), ("D-354", True), ("D-353", False)])
def test_before_a_published_taper_twelve_months_are_stable(start, is_stable):
    supply = f"{start} | D-1 | 60\nD+0 | D+300 | 30"
    assert measured(supply, "taper fenton_2019")["is_stable"] == is_stable


# Against the oracle, through the SQL that decides

END = day(800)


def events(records: list[daily_dose.Record]) -> duckdb.DuckDBPyConnection:
    """The project's events of drawn records, followed up until END."""
    schema = ["patient_index", "start_date", "end_date", "dose_micro_mme"]
    types = {"patient_index": pl.Int32, "start_date": pl.Date, "end_date": pl.Date, "dose_micro_mme": pl.Int64}
    frame = pl.DataFrame(records, schema={name: types[name] for name in schema}, orient="row")
    timeline = dose_timeline.dose_period(frame)
    follow_up = pl.DataFrame(
        [(patient, END) for patient in range(3)], schema={"patient_index": pl.Int32, "last_date": pl.Date}, orient="row"
    )
    change = dose_change.measured(timeline, follow_up, Settings(), "on_therapy_days")
    connection = duckdb.connect()
    sql = sql_file("trajectory.opioid_event")
    for table in (*sql.reads, sql.table):
        draw(connection, table)
    warehouse.build_from_frame(connection, change, CONTRACTS["trajectory.dose_change"])
    warehouse.insert(connection, sql, sql.table, PARAMETERS)
    return connection


@st.composite
def therapy(draw_from) -> list[daily_dose.Record]:
    """Patients on monthly supplies whose dose moves by steps near the limits, with gaps and unknown doses."""
    records = []
    for patient in range(draw_from(st.integers(1, 3))):
        dose, start = draw_from(st.sampled_from([40, 50, 60, 100])), -400
        for _ in range(draw_from(st.integers(6, 20))):
            dose = max(dose * draw_from(st.sampled_from([1, 1, 1, 1, 1.2, 1.15, 1.5, 0.85, 0.7, 0.5])), 1)
            dose += draw_from(st.sampled_from([0, 0, 0, 30]))
            days = draw_from(st.sampled_from([28, 30, 60]))
            micro = draw_from(st.sampled_from([round(dose * 1000) * 1000] * 19 + [None]))
            records.append((patient, day(start), day(start + days - 1), micro))
            start += days + draw_from(st.sampled_from([0, 0, 0, 0, -2, 3, 12, 70]))
    return records


# A failing therapy does not get simpler by getting smaller, only slower to find.
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(records=therapy())
def test_events_are_those_of_the_slow_way(records):
    found = events(records).execute("select event, definition, patient_index, event_date from trajectory.opioid_event")
    rows = found.fetchall()
    assert len(rows) == len(set(rows))
    days = daily_dose.daily_dose(records)
    expected = {
        ("escalation", "hayes_2020"): dose_event.hayes(days),
        ("escalation", "henry_2015"): dose_event.henry(days),
        ("taper", "default"): dose_event.tapers(days, END, 3, is_fenton=False),
        ("taper", "fenton_2019"): dose_event.tapers(days, END, 12, is_fenton=True),
    }
    assert {rule: {row[2:] for row in rows if row[:2] == rule} for rule in expected} == expected


def test_the_oracle_finds_events_of_every_kind():
    def fills(doses: list[int]) -> list[daily_dose.Record]:
        return [(0, day(-400 + 30 * n), day(-400 + 30 * n + 29), dose * 1_000_000) for n, dose in enumerate(doses)]

    rising = daily_dose.daily_dose(fills([60] * 13 + [100] * 13))
    falling = daily_dose.daily_dose(fills([60] * 13 + [30] * 13))
    risen = (0, INDEX_DATE - timedelta(days=10))
    assert risen in dose_event.hayes(rising) and risen in dose_event.henry(rising)
    assert risen in dose_event.tapers(falling, END, 12, is_fenton=True)
