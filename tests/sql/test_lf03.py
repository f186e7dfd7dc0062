"""LF03, early relief: pain fell soon after the dose rose, which speaks against hyperalgesia."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf03_early_relief"


def profile(drawing: str, **values: object) -> str:
    """Episodes with a large early relief that neither lasts nor wanes, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "proximal_nrs": 8,
        "early_change_nrs": -4,
        "early_change_se_nrs": 0.1,
        "early_score_count": 9,
        "proximal_change_nrs": 0,
        "late_nrs": 4.5,
        "late_change_nrs": 0.5,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row; rows are episodes a, b, c ..."""

    def check(columns: str, *rows: tuple[str, str], **values: object) -> None:
        ids = "abcdefghij"
        given = "\n".join(f"{ids[i]} | {row}" for i, (row, _) in enumerate(rows))
        then = "\n".join(f"{ids[i]} | {vote}" for i, (_, vote) in enumerate(rows))
        check_sql(
            TABLE,
            given={"episode.episode_profile": profile(f"episode_id | {columns}\n-\n{given}", **values)},
            then=f"episode_id | vote | strength | abstain_reason\n-\n{then}",
        )

    return check


RELIEF, KEPT, WANED, NONE = "NOT_OIH | weak |", "UND | weak |", "TOL | weak |", "NONE | |"
WITHIN_ERROR = "ABSTAIN | | within_measurement_error"


def test_a_fall_of_1_is_relief(check):
    check("early_change_nrs", ("-1", RELIEF), ("-0.999", NONE), ("1", NONE))


def test_a_fall_of_30_percent_of_b0_is_relief_if_it_is_half_a_point(check):
    check(
        "proximal_nrs | early_change_nrs",
        ("2 | -0.6", RELIEF),
        ("2 | -0.599", NONE),
        ("1 | -0.5", RELIEF),
        ("1 | -0.499", NONE),
        # above a B0 of 3.3 a point is less than 30 %
        ("8 | -1", RELIEF),
    )


def test_relief_kept_in_r_and_r2_is_undertreatment(check):
    check(
        "proximal_change_nrs | late_nrs",
        ("-1 | 7", KEPT),
        ("-0.999 | 7", RELIEF),
        ("-1 | 7.001", RELIEF),
        ("-1 |", RELIEF),
    )


def test_relief_of_mild_pain_is_kept_by_the_same_30_percent(check):
    check(
        "proximal_change_nrs | late_nrs",
        ("-0.6 | 1.4", KEPT),
        ("-0.599 | 1.4", RELIEF),
        ("-0.6 | 1.401", RELIEF),
        proximal_nrs=2,
        early_change_nrs=-0.8,
    )


def test_relief_that_wanes_by_1_until_r2_is_tolerance(check):
    check("late_change_nrs", ("1", WANED), ("0.999", RELIEF), ("", RELIEF))


def test_relief_that_is_kept_but_wanes_is_tolerance(check):
    check("late_change_nrs", ("1", WANED), ("0.5", KEPT), proximal_change_nrs=-2, late_nrs=5)


def test_what_is_no_relief_neither_wanes_nor_is_kept(check):
    check("early_change_nrs | late_change_nrs", ("0 | 3", NONE), ("0 | -3", NONE), proximal_change_nrs=-3)


def test_relief_exceeds_0_84_standard_errors(check):
    check(
        "early_change_nrs | early_change_se_nrs",
        ("-1.68 | 2", RELIEF),
        ("-1.679 | 2", WITHIN_ERROR),
        ("-0.5 | 2", NONE),
    )


def test_relief_is_read_from_two_scores_at_least(check):
    abstained = "ABSTAIN | | too_few_scores_early"
    check("early_score_count", ("2", RELIEF), ("1", abstained), ("", abstained))


def test_an_episode_that_cannot_be_judged_abstains_with_its_reason(check):
    check(
        "not_classifiable_reason | early_score_count",
        ("dose_unknown | 9", "ABSTAIN | | dose_unknown"),
        ("dose_unknown | 0", "ABSTAIN | | dose_unknown"),
    )


def test_an_excluded_episode_has_no_vote_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": profile("episode_id | excluded_reason\n-\na |\nb | under_age\nc |"),
        },
        then="episode_id | rule | vote\n-\na | LF03 | NOT_OIH\nc | LF03 | NOT_OIH",
    )


def test_the_evidence_has_the_limit_that_decided():
    connection = select(
        TABLE, given={"episode.episode_profile": profile("proximal_nrs | early_change_nrs\n-\n2 | -0.8")}
    )
    rows = connection.sql(
        f"select name, value, threshold, round(margin, 9) "
        f"from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()
    assert rows == [("change E - B0", -0.8, -0.6, 0.2), ("change R2 - E", 0.5, 1.0, -0.5)]
