"""Plausibility beyond structure: what each table of the quality step finds, and what it leaves alone."""

from datetime import date, timedelta

import pytest

from tests.conftest import CONTRACTS, draw, select

SHIFTED = {"quality.date_shift": "source | is_shifted\n-\nnorth | true\nsouth | false"}


def months(count, levels, first=600, rows=100):
    """A drawing of quality.dose_month with one level per month."""
    lines = [
        f"north | order | false | {first + number} | {rows} | 0 | {levels[number]} | {levels[number]} | {levels[number]} | 0"
        for number in range(count)
    ]
    header = (
        "source | record_kind | is_shifted | month_number | record_count | unknown_count | lower_quartile_mme | "
        "median_mme | upper_quartile_mme | high_mme"
    )
    return "\n".join([header, "-", *lines])


def shifts(levels, settings=None, rows=100):
    connection = select(
        "quality.level_shift", given={"quality.dose_month": months(len(levels), levels, rows=rows)}, settings=settings
    )
    return connection.sql(
        "select month_number - 600, finding, measure, level, expected_level from quality.level_shift order by all"
    ).fetchall()


# --- days, months and weekdays ---


def test_rows_of_every_clean_table_are_counted_by_day(check_sql):
    check_sql(
        "quality.event_day",
        given={
            "clean.prescription": """
                source | patient_index | start_date
                -------|---------------|-----------
                north  | 1             | 1970-01-02
                north  | 2             | 1970-01-02
                """,
            "clean.pain_score": """
                source | patient_index | scored_at
                -------|---------------|--------------------
                north  | 1             | 1970-01-03 23:59:00
                """,
            "clean.encounter": "source | patient_index | start_date | end_date\n-\nnorth | 1 | 1970-01-04 | 1970-01-09",
            "clean.note_mention": "source | patient_index | mention_date\n-\nnorth | 1 | 1970-01-05",
        },
        then="""
            source | table_name   | is_shifted | day_number | row_count
            -------|--------------|------------|------------|----------
            north  | prescription | false      | 1          | 2
            north  | pain_score   | false      | 2          | 1
            north  | encounter    | false      | 3          | 1
            north  | note_mention | false      | 4          | 1
            """,
    )


def test_shifted_days_are_counted_from_the_patients_first_record_in_any_table(check_sql):
    check_sql(
        "quality.event_day",
        given=SHIFTED
        | {
            "clean.prescription": """
                source | patient_index | start_date
                -------|---------------|-----------
                north  | 1             | 2150-01-11
                south  | 2             | 1970-01-02
                """,
            "clean.diagnosis": """
                source | patient_index | diagnosis_date
                -------|---------------|---------------
                north  | 1             | 2150-01-01
                """,
        },
        then="""
            source | table_name   | is_shifted | day_number | row_count
            -------|--------------|------------|------------|----------
            north  | prescription | true       | 10         | 1
            north  | diagnosis    | true       | 0          | 1
            south  | prescription | false      | 1          | 1
            """,
    )


DAYS = """
    source | table_name   | is_shifted | day_number | row_count
    -------|--------------|------------|------------|----------
    north  | prescription | false      | 0          | 3
    north  | prescription | false      | 30         | 2
    north  | prescription | false      | 95         | 1
    south  | prescription | true       | 0          | 9
    """


def test_a_month_without_rows_between_the_first_and_the_last_is_a_gap(check_sql):
    check_sql(
        "quality.coverage_month",
        given={"quality.event_day": DAYS},
        then="""
            source | table_name   | month_start_date | row_count
            -------|--------------|------------------|----------
            north  | prescription | 1970-01-01       | 5
            north  | prescription | 1970-02-01       | 0
            north  | prescription | 1970-03-01       | 0
            north  | prescription | 1970-04-01       | 1
            """,
    )


def test_all_seven_days_of_the_week_stand_there_and_shifted_dates_have_none(check_sql):
    # 1 January 1970 was a Thursday, the 31st a Saturday, 6 April a Monday.
    check_sql(
        "quality.weekday",
        given={"quality.event_day": DAYS},
        then="""
            source | table_name   | weekday | row_count | row_share
            -------|--------------|---------|-----------|--------------------
            north  | prescription | 1       | 1         | 0.16666666666666666
            north  | prescription | 2       | 0         | 0
            north  | prescription | 3       | 0         | 0
            north  | prescription | 4       | 3         | 0.5
            north  | prescription | 5       | 0         | 0
            north  | prescription | 6       | 2         | 0.3333333333333333
            north  | prescription | 7       | 0         | 0
            """,
    )


# --- doses and scores ---

DOSES = {
    "trajectory.record_amount": """
        record_id | source
        ----------|-------
        a         | north
        b         | north
        c         | north
        d         | north
        """,
    "trajectory.record_dose": """
        record_id | record_kind | patient_index | start_date | dose_micro_mme | is_in_timeline
        ----------|-------------|---------------|------------|----------------|---------------
        a         | dispensing  | 1             | 1970-01-01 | 10000000       | true
        b         | dispensing  | 1             | 1970-01-31 | 30000000       | true
        c         | dispensing  | 2             | 1970-02-01 |                | true
        d         | dispensing  | 2             | 1970-01-05 | 99000000       | false
        """,
}


def test_doses_are_spread_by_month_and_unknown_ones_counted(check_sql):
    check_sql(
        "quality.dose_month",
        given=DOSES,
        then="""
            month_number | record_count | unknown_count | lower_quartile_mme | median_mme | upper_quartile_mme | high_mme
            -------------|--------------|---------------|--------------------|------------|--------------------|---------
            0            | 2            | 0             | 15                 | 20         | 25                 | 29
            1            | 1            | 1             |                    |            |                    |
            """,
    )


def test_months_of_shifted_doses_count_from_the_patients_first(check_sql):
    check_sql(
        "quality.dose_month",
        given=DOSES | SHIFTED,
        then="""
            is_shifted | month_number | record_count | unknown_count
            -----------|--------------|--------------|--------------
            true       | 0            | 2            | 1
            true       | 1            | 1            | 0
            """,
    )


SCORES = """
    source | instrument | patient_index | scored_at           | scale_score | pain_nrs
    -------|------------|---------------|---------------------|-------------|---------
    north  | NRS        | 1             | 1970-01-01 08:00:00 | 0           | 0
    north  | NRS        | 1             | 1970-01-02 08:00:00 | 4           | 4
    north  | NRS        | 1             | 1970-01-03 08:00:00 |             |
    north  | NRS        | 2             | 1970-01-04 08:00:00 | 6.5         | 6.5
    north  | BPS        | 2             | 1970-02-04 08:00:00 | 12          |
    """


def test_scores_are_spread_by_month_with_zeros_and_unknown_ones(check_sql):
    check_sql(
        "quality.score_month",
        given={"trajectory.pain_reading": SCORES},
        then="""
            instrument | month_number | score_count | unknown_count | zero_count | median_score | mean_score
            -----------|--------------|-------------|---------------|------------|--------------|-----------
            NRS        | 0            | 4           | 1             | 1          | 4            | 3.5
            BPS        | 1            | 1           | 0             | 0          | 12           | 12
            """,
    )


def test_every_whole_score_stands_there_and_what_is_between_or_above_is_other():
    connection = select("quality.score_value", given={"trajectory.pain_reading": SCORES})
    found = dict(
        connection.sql("select score_text, score_count from quality.score_value where instrument = 'NRS'").fetchall()
    )
    assert found == {str(score): 0 for score in range(11)} | {"0": 1, "4": 1, "other": 1}
    [share] = connection.sql(
        "select score_share from quality.score_value where instrument = 'BPS' and score_text = 'other'"
    ).fetchall()
    assert share == (1.0,)


def test_days_supply_and_quantity_heap_on_preferred_values(check_sql):
    check_sql(
        "quality.heaping",
        given={
            "clean.prescription": """
                source | days_supply | quantity
                -------|-------------|---------
                north  | 30          | 120
                north  | 30          | 120.5
                north  | 31          |
                north  | 29          |
                """
        },
        then="""
            measure     | preferred_value | record_count | record_share
            ------------|-----------------|--------------|-------------
            days_supply | 30              | 2            | 0.5
            days_supply | other           | 2            | 0.5
            quantity    | 120             | 1            | 0.5
            quantity    | other           | 1            | 0.5
            """,
    )


# --- level shifts ---


def test_a_steady_level_is_no_finding():
    assert shifts([20, 21, 19, 20, 22, 20, 19, 21, 20, 20, 21, 19, 20]) == []


def test_a_month_far_off_its_neighbours_is_found_alone():
    assert shifts([20] * 6 + [60] + [20] * 6) == [(6, "single_month", "median_mme", 60.0, 20.0)]


def test_a_difference_of_the_smallest_share_is_none_and_one_above_it_is():
    assert shifts([20] * 6 + [25] + [20] * 6) == []
    assert shifts([20] * 6 + [25.1] + [20] * 6) == [(6, "single_month", "median_mme", 25.1, 20.0)]


def test_noise_widens_what_is_tolerated():
    noisy = [10, 30, 12, 28, 15, 25]
    assert shifts([*noisy, 50, *noisy]) == []


def test_a_new_level_is_found_once_at_its_first_month():
    assert [found[:2] for found in shifts([20] * 8 + [40] * 8)] == [(8, "new_level")]


def test_a_slow_rise_is_no_step():
    assert shifts([20 + 0.2 * month for month in range(24)]) == []


def test_months_of_few_rows_are_not_judged():
    assert shifts([20] * 6 + [60] + [20] * 6, rows=29) == []
    assert shifts([20] * 6 + [60] + [20] * 6, rows=30) != []


def test_rows_by_month_may_differ_by_chance_but_not_vanish():
    first = date(2020, 1, 1) - date(1970, 1, 1)

    def counts(rows):
        lines = []
        for month, count in enumerate(rows):
            day = (date(2020 + month // 12, month % 12 + 1, 15) - date(1970, 1, 1)).days
            lines.append(f"north | pain_score | false | {day} | {count}")
        header = "source | table_name | is_shifted | day_number | row_count"
        connection = select("quality.level_shift", given={"quality.event_day": "\n".join([header, "-", *lines])})
        return connection.sql("select measure, level from quality.level_shift").fetchall()

    assert first > timedelta(0)
    assert counts([100] * 6 + [130] + [100] * 6) == []
    assert counts([100] * 6 + [10] + [100] * 6) == [("row_count", 10.0)]
    assert counts([10] + [100] * 13) == []  # the first month of a delivery may be cut


def test_a_small_share_may_differ_by_points():
    def zero_shares(zeros):
        lines = [
            f"north | NRS | false | {600 + month} | 100 | 0 | {zero} | 1 | 1 | 1 | 1"
            for month, zero in enumerate(zeros)
        ]
        header = (
            "source | instrument | is_shifted | month_number | score_count | unknown_count | zero_count | "
            "lower_quartile_score | median_score | upper_quartile_score | mean_score"
        )
        connection = select("quality.level_shift", given={"quality.score_month": "\n".join([header, "-", *lines])})
        return connection.sql("select measure, level from quality.level_shift").fetchall()

    assert zero_shares([1] * 6 + [5] + [1] * 6) == []
    assert zero_shares([1] * 6 + [7] + [1] * 6) == [("zero_share", 0.07)]


# --- units and codes ---


def fills(strengths, quarters=("2020-02-01", "2020-05-01")):
    lines = [
        f"north | {number} | oxycodone 5 mg | {quarter} | {strength}"
        for quarter, strength in zip(quarters, strengths, strict=True)
        for number in range(5)
    ]
    return "\n".join(["source | patient_index | drug_text | start_date | strength", "-", *lines])


@pytest.mark.parametrize(
    ("before", "after", "is_flip"), [(5, 5000, True), (5000, 5, True), (5, 40, True), (5, 39, False)]
)
def test_a_strength_that_jumps_between_quarters_is_a_unit_flip(before, after, is_flip):
    connection = select("quality.unit_flip", given={"clean.prescription": fills([before, after])})
    found = connection.sql(
        "select measure, quarter_start_date::varchar, row_count, patient_count, median_before, median_amount "
        "from quality.unit_flip"
    ).fetchall()
    assert found == ([("strength", "2020-04-01", 5, 5, before, after)] if is_flip else [])


def test_a_quarter_of_few_rows_and_shifted_dates_are_no_unit_flip():
    few = fills([5, 5000]).rsplit("\n", 1)[0]
    for given, shifted in ((few, {}), (fills([5, 5000]), SHIFTED)):
        connection = select("quality.unit_flip", given={"clean.prescription": given} | shifted)
        assert connection.sql("from quality.unit_flip").fetchall() == []


def codes(*used):
    """Diagnoses: code, number of patients, day."""
    lines = [f"north | {patient} | ICD10CM | {code} | {day}" for code, count, day in used for patient in range(count)]
    return "\n".join(["source | patient_index | code_system | code | diagnosis_date", "-", *lines])


def test_a_code_of_one_half_alone_is_new_or_vanished():
    drawing = codes(
        ("A", 11, "2020-01-01"),
        ("B", 11, "2020-12-31"),
        ("C", 11, "2020-03-01"),
        ("C", 11, "2020-09-01"),
        ("D", 10, "2020-12-01"),
    )
    connection = select("quality.code_use", given={"clean.diagnosis": drawing})
    found = connection.sql("select code, patient_count, change from quality.code_use order by code").fetchall()
    assert found == [
        ("ICD10CM A", 11, "vanished"),
        ("ICD10CM B", 11, "new"),
        ("ICD10CM C", 11, None),
        ("ICD10CM D", 10, None),
    ]


def test_shifted_dates_have_no_halves():
    drawing = codes(("A", 11, "2020-01-01"), ("B", 11, "2020-12-31"))
    connection = select("quality.code_use", given={"clean.diagnosis": drawing} | SHIFTED)
    assert {change for (change,) in connection.sql("select change from quality.code_use").fetchall()} == {None}


@pytest.mark.parametrize(
    ("table", "drawing", "fails"),
    [
        (
            "quality.coverage_month",
            "source | table_name | month_start_date | row_count\n-\nn | p | 2020-01-01 | 0",
            True,
        ),
        (
            "quality.coverage_month",
            "source | table_name | month_start_date | row_count\n-\nn | p | 2020-01-01 | 1",
            False,
        ),
        (
            "quality.score_value",
            "source | instrument | score_text | score_count | score_share\n-\nn | NRS | 0 | 9 | 0.61",
            True,
        ),
        (
            "quality.score_value",
            "source | instrument | score_text | score_count | score_share\n-\nn | NRS | 0 | 9 | 0.6\nn | NRS | 1 | 9 | 0.2",
            False,
        ),
        (
            "quality.score_value",
            "source | instrument | score_text | score_count | score_share\n-\nn | NRS | 1 | 9 | 0.19",
            True,
        ),
    ],
)
def test_a_finding_is_a_warning(table, drawing, fails):
    import duckdb

    connection = duckdb.connect()
    draw(connection, table, drawing)
    written = [found for found in CONTRACTS[table].expectations if found.type == "unexpected_rows_expectation"]
    assert {found.severity for found in written} == {"warning"}
    queries = [found.model_extra["unexpected_rows_query"].replace("{batch}", table) for found in written]
    assert any(connection.execute(query).fetchall() for query in queries) is fails
