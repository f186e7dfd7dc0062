"""LF01, paradoxical worsening: pain rose beyond expectation after the dose rose."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf01_paradoxical_worsening"


def profile(drawing: str, **values: object) -> str:
    """Episodes with a paradox that is far beyond error, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "adjusted_change_nrs": 5,
        "adjusted_change_se_nrs": 0.1,
        "proximal_change_nrs": 1,
        "response_to_distal_ratio": 2,
        "distal_nrs": 9,
        "index_kind": "dose_led",
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote and its strength for each drawn row; rows are episodes a, b, c ..."""

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


WEAK, STRONG, NONE = "OIH | weak |", "OIH | strong |", "NONE | |"
WITHIN_ERROR = "ABSTAIN | | within_measurement_error"


def test_an_adjusted_rise_of_1_is_weak_and_of_2_strong(check):
    check("adjusted_change_nrs", ("0.999", NONE), ("1", WEAK), ("1.999", WEAK), ("2", STRONG))


def test_a_rise_of_30_percent_of_b1_is_strong_if_it_is_1(check):
    check(
        "distal_nrs | adjusted_change_nrs",
        ("5 | 1.5", STRONG),
        ("5 | 1.499", WEAK),
        # 0.3 x 4.19 is 1.257, in binary a hair above it
        ("4.19 | 1.257", STRONG),
        ("2 | 1", STRONG),
        ("2 | 0.6", NONE),
        ("0 | 1", STRONG),
    )


def test_a_fall_against_b0_of_more_than_0_3_is_no_paradox(check):
    check("proximal_change_nrs", ("-0.3", STRONG), ("-0.301", NONE), ("0", STRONG))


def test_a_dose_ratio_of_less_than_1_3_is_no_paradox(check):
    check("response_to_distal_ratio", ("1.3", STRONG), ("1.299", NONE))


def test_where_no_dose_was_raised_it_is_taken_as_if_it_had_been(check):
    """At sham dates, and where pain led: it entered because pain rose while the dose was steady."""
    check(
        "index_kind | response_to_distal_ratio",
        ("sham_maintainer | 1", STRONG),
        ("sham_gabapentinoid | 1.299", STRONG),
        ("sham_maintainer | 0.8", STRONG),
        ("pain_led | 1", STRONG),
        ("pain_led | 0.8", STRONG),
        ("dose_led | 1", NONE),
    )


@pytest.mark.parametrize("kind", ["sham_maintainer", "sham_gabapentinoid", "pain_led"])
def test_all_else_is_asked_where_no_dose_was_raised_too(check, kind):
    check(
        "adjusted_change_nrs | adjusted_change_se_nrs | proximal_change_nrs | not_classifiable_reason",
        ("0.999 | 0.1 | 1 |", NONE),
        ("5 | 0.1 | -0.301 |", NONE),
        ("1.5 | 9 | 1 |", WITHIN_ERROR),
        ("5 | 0.1 | 1 | dose_unknown", "ABSTAIN | | dose_unknown"),
        index_kind=kind,
        response_to_distal_ratio=1,
    )


@pytest.mark.parametrize("kind", ["sham_maintainer", "pain_led"])
def test_the_evidence_has_the_ratio_without_a_threshold_where_no_dose_was_raised(kind):
    profiled = profile(f"index_kind | response_to_distal_ratio\n-\n{kind} | 1.1")
    connection = select(TABLE, given={"episode.episode_profile": profiled})
    rows = connection.sql(
        f"select value, threshold, margin from (select unnest(evidence, recursive := true) from {TABLE}) "
        "where name = 'dose ratio R to B1'"
    ).fetchall()
    assert rows == [(1.1, None, None)]


def test_a_weak_rise_exceeds_0_84_and_a_strong_one_1_645_standard_errors(check):
    check(
        "adjusted_change_nrs | adjusted_change_se_nrs",
        ("1.68 | 2", WEAK),
        ("1.679 | 2", WITHIN_ERROR),
        ("3.29 | 2", STRONG),
        ("3.289 | 2", WEAK),
        ("2.5 | 2.97", "OIH | weak |"),
    )


def test_what_would_be_no_paradox_does_not_abstain_for_error(check):
    check(
        "adjusted_change_nrs | proximal_change_nrs | response_to_distal_ratio",
        ("0.5 | 1 | 2", NONE),
        ("1.5 | -1 | 2", NONE),
        ("1.5 | 1 | 1", NONE),
        ("1.5 | 1 | 2", WITHIN_ERROR),
        adjusted_change_se_nrs=9,
    )


def test_an_episode_that_cannot_be_judged_abstains_with_its_reason(check):
    check(
        "not_classifiable_reason | adjusted_change_nrs | adjusted_change_se_nrs | response_to_distal_ratio",
        ("dose_unknown | 5 | 0.1 | 2", "ABSTAIN | | dose_unknown"),
        ("too_few_scores_response | | |", "ABSTAIN | | too_few_scores_response"),
    )


def test_an_excluded_episode_has_no_vote_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_profile": profile("episode_id | excluded_reason\n-\na |\nb | under_age\nc |"),
        },
        then="episode_id | rule | vote\n-\na | LF01 | OIH\nc | LF01 | OIH",
    )


def test_the_thresholds_are_settings(check_sql):
    for name, value in {
        "weak_rise_nrs": 5.1,
        "proximal_fall_limit_nrs": 1.1,
        "paradox_min_dose_ratio": 2.1,
    }.items():
        check_sql(
            TABLE,
            given={"episode.episode_profile": profile("episode_id\n-\na")},
            settings={name: value},
            then="vote\n-\nNONE",
        )
    weaker = {"strong_rise_nrs": 6, "strong_rise_share": 0.9}
    check_sql(
        TABLE, given={"episode.episode_profile": profile("episode_id\n-\na")}, settings=weaker, then="strength\n-\nweak"
    )


def test_the_evidence_is_every_value_with_its_threshold_and_margin():
    connection = select(
        TABLE,
        given={
            "episode.episode_profile": profile(
                "adjusted_change_nrs\n-\n1.5",
                adjusted_change_se_nrs=0.5,
                proximal_change_nrs=0.2,
                response_to_distal_ratio=1.4,
            )
        },
    )
    rows = connection.sql(
        f"select name, value, threshold, round(margin, 9), unit "
        f"from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()
    assert rows == [
        ("adjusted change R - B1", 1.5, 1.0, 0.5, "NRS point"),
        ("change R - B0", 0.2, -0.3, 0.5, "NRS point"),
        ("dose ratio R to B1", 1.4, 1.3, 0.1, "ratio"),
        ("change in standard errors", 3.0, 0.84, 2.16, "SE"),
    ]


def test_evidence_that_is_missing_is_unknown_and_not_left_out():
    connection = select(
        TABLE, given={"episode.episode_profile": "episode_id | not_classifiable_reason\n-\na | follow_up_too_short"}
    )
    rows = connection.sql(
        f"select value, margin from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()
    assert rows == [(None, None)] * 4
