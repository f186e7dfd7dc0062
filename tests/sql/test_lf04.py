"""LF04, dose-pain slope: pain went with the dose of weeks before."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf04_dose_pain_slope"


def profile(drawing: str, **values: object) -> str:
    """Episodes with a steep slope that is well known, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "scored_week_count": 40,
        "dose_sd_doublings": 1,
        "step_count": 4,
        "slope_nrs_per_doubling": 2,
        "low_nrs_per_doubling": 1,
        "high_nrs_per_doubling": 3,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row; rows are episodes a, b, c ..."""

    def check(
        columns: str, *rows: tuple[str, str], settings: dict[str, object] | None = None, **values: object
    ) -> None:
        given, then = cases(columns, rows, "vote | strength | abstain_reason")
        check_sql(TABLE, given={"episode.dose_pain_slope": profile(given, **values)}, settings=settings, then=then)

    return check


def evidence(profiled: str) -> list[tuple[object, ...]]:
    connection = select(TABLE, given={"episode.dose_pain_slope": profiled})
    return connection.sql(
        f"select name, value, threshold, round(margin, 9), unit "
        f"from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()


RISE, FALL, NONE = "OIH | weak |", "NOT_OIH | weak |", "NONE | |"
WITHIN_ERROR = "ABSTAIN | | within_measurement_error"


def test_half_a_point_for_a_doubling_is_a_slope_either_way(check):
    check(
        "slope_nrs_per_doubling",
        ("0.5", RISE),
        ("0.499", NONE),
        ("0", NONE),
        ("-0.499", NONE),
        ("-0.5", FALL),
    )


def test_the_interval_of_a_rise_is_above_zero(check):
    check("low_nrs_per_doubling", ("0.001", RISE), ("0", WITHIN_ERROR), ("-1", WITHIN_ERROR))


def test_neither_interval_nor_steps_are_asked_where_pain_does_not_rise(check):
    check(
        "slope_nrs_per_doubling | low_nrs_per_doubling | step_count",
        ("-0.5 | -2 | 0", FALL),
        ("0.2 | -2 | 0", NONE),
    )


def test_a_rise_needs_two_separate_steps(check):
    check("step_count", ("2", RISE), ("1", "ABSTAIN | | too_few_dose_steps"), ("0", "ABSTAIN | | too_few_dose_steps"))


def test_a_slope_needs_six_scored_weeks(check):
    check("scored_week_count", ("6", RISE), ("5", "ABSTAIN | | too_few_scored_weeks"))


def test_the_dose_varies_by_more_than_a_tenth_of_a_doubling(check):
    check(
        "dose_sd_doublings",
        ("0.101", RISE),
        ("0.1", "ABSTAIN | | dose_too_stable"),
        ("0", "ABSTAIN | | dose_too_stable"),
    )


def test_without_scores_there_is_a_reason(check):
    check(
        "scored_week_count | dose_sd_doublings | slope_nrs_per_doubling | low_nrs_per_doubling",
        ("0 | | |", "ABSTAIN | | too_few_scored_weeks"),
        ("1 | | |", "ABSTAIN | | too_few_scored_weeks"),
    )


def test_the_thresholds_are_settings(check):
    check("step_count", ("4", NONE), settings={"slope_min_nrs": 2.1})
    check("step_count", ("4", "ABSTAIN | | too_few_dose_steps"), settings={"slope_min_steps": 5})
    check("step_count", ("4", "ABSTAIN | | too_few_scored_weeks"), settings={"slope_min_scored_weeks": 41})
    check("step_count", ("4", "ABSTAIN | | dose_too_stable"), settings={"slope_min_dose_sd": 1})


def test_every_slope_has_one_vote(check_sql):
    check_sql(
        TABLE,
        given={"episode.dose_pain_slope": profile("episode_id\n-\na\nb")},
        then="episode_id | rule\n-\na | LF04\nb | LF04",
    )


def test_the_evidence_is_every_value_with_its_threshold_and_margin():
    assert evidence(profile("episode_id\n-\na")) == [
        ("slope of pain on dose", 2.0, 0.5, 1.5, "NRS point per doubling"),
        ("lower end of its 90 % interval", 1.0, 0.0, 1.0, "NRS point per doubling"),
        ("upper end of its 90 % interval", 3.0, None, None, "NRS point per doubling"),
        ("separate dose steps", 4.0, 2.0, 2.0, "step"),
        ("scored weeks", 40.0, 6.0, 34.0, "week"),
        ("SD of the dose", 1.0, 0.1, 0.9, "doubling"),
    ]
