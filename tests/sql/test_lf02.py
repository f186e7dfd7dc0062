"""LF02, escalation without benefit: the dose rose a lot and pain stayed high."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf02_escalation_without_benefit"


def profile(drawing: str, **values: object) -> str:
    """Escalations far without benefit, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "index_kind": "dose_led",
        "response_to_distal_ratio": 2,
        "response_nrs": 7,
        "proximal_change_nrs": 1,
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


HALF, NONE = "OIH_OR_TOL | weak |", "NONE | |"


def test_the_dose_rose_by_half(check):
    check("response_to_distal_ratio", ("1.5", HALF), ("1.499", NONE))


def test_pain_of_5_is_still_high(check):
    check("response_nrs", ("5", HALF), ("4.999", NONE), ("0", NONE))


def test_a_fall_against_b0_of_more_than_0_3_is_a_benefit(check):
    check("proximal_change_nrs", ("-0.3", HALF), ("-0.301", NONE))


def test_at_sham_dates_the_dose_is_taken_as_if_it_had_risen(check):
    check(
        "index_kind | response_to_distal_ratio | response_nrs",
        ("sham_maintainer | 1 | 5", HALF),
        ("sham_gabapentinoid | 0.8 | 5", HALF),
        ("sham_maintainer | 1 | 4.999", NONE),
        ("pain_led | 1 | 5", NONE),
        ("dose_led | 1 | 5", NONE),
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
        then="episode_id | rule\n-\na | LF02\nc | LF02",
    )


def test_the_thresholds_are_settings(check):
    for name, value in {
        "no_benefit_min_dose_ratio": 2.1,
        "no_benefit_min_nrs": 7.1,
        "proximal_fall_limit_nrs": 1.1,
    }.items():
        check("response_nrs", ("7", NONE), settings={name: value})


def test_the_evidence_is_every_value_with_its_threshold_and_margin():
    assert evidence(profile("episode_id\n-\na")) == [
        ("dose ratio R to B1", 2.0, 1.5, 0.5, "ratio"),
        ("pain in R", 7.0, 5.0, 2.0, "NRS point"),
        ("change R - B0", 1.0, -0.3, 1.3, "NRS point"),
    ]
    sham = evidence(profile("index_kind | response_to_distal_ratio\n-\nsham_maintainer | 1"))
    assert sham[0] == ("dose ratio R to B1", 1.0, None, None, "ratio")
