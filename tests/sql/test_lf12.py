"""LF12, undertreatment: pain fell and stayed lower at a low dose."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf12_undertreatment"


def profile(drawing: str, **values: object) -> str:
    """Episodes of large relief, kept, at a low dose, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "response_mme": 30,
        "proximal_nrs": 8,
        "proximal_change_nrs": -4,
        "late_nrs": 4,
        "late_week_count": 9,
        "response_se_nrs": 0.1,
        "proximal_se_nrs": 0.1,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row; rows are episodes a, b, c ..."""

    def check(
        columns: str, *rows: tuple[str, str], settings: dict[str, object] | None = None, **values: object
    ) -> None:
        given, then = cases(columns, rows, "vote | strength | abstain_reason")
        check_sql(TABLE, given={"episode.episode_profile": profile(given, **values)}, settings=settings, then=then)

    return check


def evidence(profiled: str) -> list[tuple[object, ...]]:
    connection = select(TABLE, given={"episode.episode_profile": profiled})
    return connection.sql(
        f"select name, value, threshold, round(margin, 9), unit "
        f"from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()


UND, NONE = "UND | weak |", "NONE | |"
TOO_FEW, WITHIN_ERROR = "ABSTAIN | | too_few_scores_late", "ABSTAIN | | within_measurement_error"


def test_the_dose_is_below_50_mme(check):
    check("response_mme", ("49.999", UND), ("50", NONE))


def test_a_fall_of_1_against_b0_is_relief(check):
    check("proximal_change_nrs", ("-1", UND), ("-0.999", NONE))


def test_relief_is_kept_to_r2(check):
    check("late_nrs", ("7", UND), ("7.001", NONE))


def test_whether_relief_was_kept_is_read_from_two_scored_weeks(check):
    check(
        "late_week_count | late_nrs | proximal_change_nrs | response_mme",
        ("2 | 4 | -4 | 30", UND),
        ("1 | 4 | -4 | 30", TOO_FEW),
        (" | | -4 | 30", TOO_FEW),
        # where there was no relief, or at a higher dose, nothing is asked of R2
        (" | | 0 | 30", NONE),
        (" | | -4 | 60", NONE),
    )


def test_relief_exceeds_0_84_standard_errors(check):
    """Of 3 in R and 4 in B0 the standard error of the change is 5."""
    check(
        "proximal_change_nrs | late_nrs",
        ("-4.2 | 4", UND),
        ("-4.199 | 4", WITHIN_ERROR),
        ("-0.5 | 4", NONE),
        ("-4.199 | 8", NONE),
        response_se_nrs=3,
        proximal_se_nrs=4,
    )


def test_an_episode_that_cannot_be_judged_abstains_with_its_reason(check):
    check(
        "not_classifiable_reason",
        ("dose_unknown", "ABSTAIN | | dose_unknown"),
        ("therapy_ended", "ABSTAIN | | therapy_ended"),
    )


def test_an_excluded_episode_has_no_vote_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={"episode.episode_profile": profile("episode_id | excluded_reason\n-\na |\nb | under_age\nc |")},
        then="episode_id | rule\n-\na | LF12\nc | LF12",
    )


def test_the_thresholds_are_settings(check):
    check("response_mme", ("30", NONE), settings={"undertreated_max_mme": 30})


def test_the_evidence_is_every_value_with_its_threshold_and_margin():
    assert evidence(profile("episode_id\n-\na", response_se_nrs=0.3, proximal_se_nrs=0.4)) == [
        ("dose in R", 30.0, 50.0, 20.0, "MME/day"),
        ("change R - B0", -4.0, -1.0, 3.0, "NRS point"),
        ("change R2 - B0", -4.0, -1.0, 3.0, "NRS point"),
        ("fall R - B0 in standard errors", 8.0, 0.84, 7.16, "SE"),
    ]
