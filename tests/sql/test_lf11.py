"""LF11, tolerance pattern: pain crept up at an unchanged dose, fell when the dose rose, and crept up again."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf11_tolerance_pattern"
TREND = {"stable_month_count": 6, "scored_week_count": 20, "rise_nrs_per_month": 0.5}


def profile(drawing: str, **values: object) -> str:
    """Episodes in which pain fell a lot and rose again, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "early_change_nrs": -4,
        "late_change_nrs": 4,
        "early_change_se_nrs": 0.1,
        "early_se_nrs": 0.1,
        "late_se_nrs": 0.1,
        "early_score_count": 9,
        "late_week_count": 9,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


def trend(drawing: str) -> str:
    """Pain that crept up over six stable months, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    return drawn(drawing, **{name: value for name, value in TREND.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row of columns of the profile or of the trend."""

    def check(
        columns: str, *rows: tuple[str, str], settings: dict[str, object] | None = None, **values: object
    ) -> None:
        given, then = cases(columns, rows, "vote | strength | abstain_reason")
        plain, _ = cases("patient_index", tuple(("1", "") for _ in rows), "vote")
        of_trend = any(name in columns for name in TREND)
        check_sql(
            TABLE,
            given={
                "episode.episode_profile": profile(plain if of_trend else given, **values),
                "episode.stable_trend": trend(given if of_trend else plain),
            },
            settings=settings,
            then=then,
        )

    return check


TOL, NONE = "TOL | weak |", "NONE | |"


def test_the_dose_was_stable_for_three_months(check):
    check("stable_month_count", ("3", TOL), ("2", NONE), ("0", NONE))


def test_pain_crept_up_by_0_15_a_month(check):
    check("rise_nrs_per_month", ("0.15", TOL), ("0.149", NONE), ("-1", NONE))


def test_a_fall_of_0_8_is_relief(check):
    check("early_change_nrs", ("-0.8", TOL), ("-0.799", NONE), ("1", NONE))


def test_a_rise_of_0_8_again_is_waning(check):
    check("late_change_nrs", ("0.8", TOL), ("0.799", NONE), ("-1", NONE))


def test_a_slope_is_read_from_six_scored_weeks_of_a_stable_dose(check):
    too_few = "ABSTAIN | | too_few_scores_before"
    check(
        "stable_month_count | scored_week_count | rise_nrs_per_month",
        ("3 | 6 | 0.5", TOL),
        ("3 | 5 | 0.5", too_few),
        ("3 | 0 |", too_few),
        # where the dose was not stable there is no such pattern
        ("2 | 0 |", NONE),
    )


def test_what_comes_later_is_asked_only_where_what_comes_before_is_there(check):
    early, late = "ABSTAIN | | too_few_scores_early", "ABSTAIN | | too_few_scores_late"
    check(
        "early_score_count | early_change_nrs | late_week_count | late_change_nrs",
        ("2 | -4 | 2 | 4", TOL),
        ("1 | -4 | 2 | 4", early),
        (" | | 2 |", early),
        ("2 | -4 | 1 | 4", late),
        ("2 | -4 | |", late),
        ("2 | 0 | |", NONE),
    )
    check("rise_nrs_per_month", ("0", NONE), early_score_count=0)


def test_both_changes_exceed_0_84_standard_errors(check):
    """Of 3 in E and 4 in R2 the standard error of the change is 5."""
    within = "ABSTAIN | | within_measurement_error"
    check(
        "early_change_nrs | early_change_se_nrs | late_change_nrs | early_se_nrs | late_se_nrs",
        ("-1.68 | 2 | 4.2 | 3 | 4", TOL),
        ("-1.679 | 2 | 4.2 | 3 | 4", within),
        ("-1.68 | 2 | 4.199 | 3 | 4", within),
        ("-0.5 | 2 | 4.2 | 3 | 4", NONE),
        ("-1.68 | 2 | 0.5 | 3 | 4", NONE),
    )


def test_an_episode_that_cannot_be_judged_abstains_with_its_reason(check):
    check("not_classifiable_reason", ("dose_unknown", "ABSTAIN | | dose_unknown"))


def test_an_excluded_episode_has_no_vote_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": profile("episode_id | excluded_reason\n-\na |\nb | under_age\nc |"),
            "episode.stable_trend": trend("episode_id\n-\na"),
        },
        then="episode_id | rule | vote\n-\na | LF11 | TOL\nc | LF11 | NONE",
    )


def test_the_thresholds_are_settings(check):
    for name, value in {
        "creeping_min_months": 7,
        "creeping_rise_nrs": 0.6,
        "creeping_relief_nrs": -4.1,
        "creeping_waning_nrs": 4.1,
    }.items():
        check("early_score_count", ("9", NONE), settings={name: value})


def test_the_evidence_is_every_value_with_its_threshold_and_margin():
    given = {"episode.episode_profile": profile("episode_id\n-\na"), "episode.stable_trend": trend("episode_id\n-\na")}
    rows = (
        select(TABLE, given=given)
        .sql(
            f"select name, value, threshold, round(margin, 9) "
            f"from (select unnest(evidence, recursive := true) from {TABLE})"
        )
        .fetchall()
    )
    assert rows == [
        ("stable months before the index date", 6.0, 3.0, 3.0),
        ("rise of pain over the stable months", 0.5, 0.15, 0.35),
        ("change E - B0", -4.0, -0.8, 3.2),
        ("change R2 - E", 4.0, 0.8, 3.2),
    ]
