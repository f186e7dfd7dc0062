"""When a patient is opioid tolerant in the words of the US FDA: a week or longer at a dose that depends on the opioid."""

import pytest

from tests.sql.drawing import drawn

TABLE = "trajectory.tolerant_period"


def record(drawing: str, **same: object) -> str:
    """Records of patient 1 with the dose in mg, mcg/h or MME per day."""
    return drawn(drawing, **({"patient_index": 1, "is_in_timeline": True, "dose_unit": "MG", "route": "oral"} | same))


@pytest.fixture
def check_spans(check_sql):
    def check(records: str, *spans: str, **settings: int):
        rows = "\n".join(spans)
        check_sql(
            TABLE,
            given={"trajectory.record_dose": records},
            settings=settings,
            then=drawn(f"start_date | tolerant_date | end_date\n-\n{rows}") if spans else "start_date\n-",
        )

    return check


@pytest.mark.parametrize(
    ("ingredient", "route", "unit", "enough"),
    [
        ("morphine", "oral", "MG", 60),
        ("oxycodone", "oral", "MG", 30),
        ("hydromorphone", "oral", "MG", 8),
        ("oxymorphone", "oral", "MG", 25),
        ("fentanyl", "transdermal", "MCG/HR", 25),
    ],
)
def test_each_opioid_has_a_dose_of_its_own(check_spans, ingredient, route, unit, enough):
    for dose, spans in ((enough * 1_000_000, ["D+0 | D+6 | D+9"]), (enough * 1_000_000 - 1000, [])):
        records = record(
            f"dose_micro_unit\n-\n{dose}",
            ingredient=ingredient,
            route=route,
            dose_unit=unit,
            # what these doses are in MME does not matter
            dose_micro_mme=1,
            start_date="D+0",
            end_date="D+9",
        )
        check_spans(records, *spans)


@pytest.mark.parametrize(("mme", "spans"), [(60_000_000, ["D+0 | D+6 | D+6"]), (59_999_000, [])])
@pytest.mark.parametrize(("ingredient", "route"), [("methadone", "oral"), ("morphine", "rectal")])
def test_another_opioid_or_route_counts_in_mme(check_spans, ingredient, route, mme, spans):
    records = record(
        f"dose_micro_mme | dose_micro_unit\n-\n{mme} | 999000000",
        ingredient=ingredient,
        route=route,
        start_date="D+0",
        end_date="D+6",
    )
    check_spans(records, *spans)


@pytest.mark.parametrize(("end", "spans"), [("D+6", ["D+0 | D+6 | D+6"]), ("D+5", [])])
def test_it_takes_seven_days_in_a_row(check_spans, end, spans):
    check_spans(
        record(f"end_date\n-\n{end}", ingredient="morphine", dose_micro_unit=60_000_000, start_date="D+0"), *spans
    )


def test_a_day_without_begins_the_week_anew(check_spans):
    records = record(
        "start_date | end_date\n-\nD+0 | D+5\nD+7 | D+12", ingredient="morphine", dose_micro_unit=60_000_000
    )
    check_spans(records)


def test_supplies_that_follow_one_another_are_one_span(check_spans):
    records = record(
        "start_date | end_date\n-\nD+0 | D+3\nD+4 | D+7", ingredient="morphine", dose_micro_unit=60_000_000
    )
    check_spans(records, "D+0 | D+6 | D+7")


def test_days_on_different_opioids_are_one_span(check_spans):
    records = record(
        """
        ingredient | dose_micro_unit | start_date | end_date
        -----------+-----------------+------------+---------
        morphine   | 60000000        | D+0        | D+4
        oxycodone  | 30000000        | D+3        | D+9
        """
    )
    check_spans(records, "D+0 | D+6 | D+9")


def test_doses_of_one_opioid_add_up_and_those_of_two_do_not(check_spans):
    drawing = """
        ingredient | dose_micro_unit | start_date | end_date
        -----------+-----------------+------------+---------
        {0}        | 20000000        | D-5        | D+9
        {1}        | 40000000        | D+0        | D+20
        """
    check_spans(record(drawing.format("morphine", "morphine")), "D+0 | D+6 | D+9")
    check_spans(record(drawing.format("hydrocodone", "morphine")))


def test_parts_rounded_to_millionths_add_up_to_the_dose(check_spans):
    records = record(
        "dose_micro_unit\n-\n33333333\n13333333\n13333333", ingredient="morphine", start_date="D+0", end_date="D+6"
    )
    check_spans(records, "D+0 | D+6 | D+6")


def test_an_unknown_dose_adds_nothing(check_spans):
    drawing = "dose_micro_unit\n-\n\n{0}"
    same = {"ingredient": "morphine", "start_date": "D+0", "end_date": "D+6"}
    check_spans(record(drawing.format(60_000_000), **same), "D+0 | D+6 | D+6")
    check_spans(record(drawing.format(59_000_000), **same))


@pytest.mark.parametrize("aside", [{"is_in_timeline": False}, {"ingredient": ""}], ids=["not exposure", "unknown"])
def test_records_that_are_no_known_opioid_exposure_do_not_count(check_spans, aside):
    same = {"ingredient": "morphine", "dose_micro_unit": 60_000_000, "dose_micro_mme": 60_000_000}
    check_spans(record("start_date | end_date\n-\nD+0 | D+6", **(same | aside)))


def test_the_days_are_those_of_the_settings(check_spans):
    records = record("end_date\n-\nD+2", ingredient="morphine", dose_micro_unit=60_000_000, start_date="D+0")
    check_spans(records, "D+0 | D+2 | D+2", tolerant_days=3)
