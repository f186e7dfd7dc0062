"""LF13, exposure intensity: the dose was high, therapy long, and pain leaned upwards."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf13_exposure_intensity"


def profile(drawing: str, **values: object) -> str:
    """Intense exposures, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "response_mme": 200,
        "prior_therapy_days": 400,
        "adjusted_change_nrs": 2,
        "adjusted_change_se_nrs": 9,
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


OIH, NONE = "OIH | weak |", "NONE | |"


def test_the_dose_is_100_mme(check):
    check("response_mme", ("100", OIH), ("99.999", NONE))


def test_therapy_is_180_days_old(check):
    check("prior_therapy_days", ("180", OIH), ("179", NONE))


def test_pain_leans_upwards_by_half_a_point_whatever_its_error(check):
    check("adjusted_change_nrs", ("0.5", OIH), ("0.499", NONE), ("-3", NONE))


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
        then="episode_id | rule\n-\na | LF13\nc | LF13",
    )


def test_the_thresholds_are_settings(check):
    for name, value in {"intense_min_mme": 201, "intense_min_days": 401, "leaning_rise_nrs": 2.1}.items():
        check("response_mme", ("200", NONE), settings={name: value})


def test_the_evidence_has_the_error_that_the_rule_does_not_ask_for():
    assert evidence(profile("episode_id\n-\na", adjusted_change_se_nrs=0.5)) == [
        ("dose in R", 200.0, 100.0, 100.0, "MME/day"),
        ("therapy before the index date", 400.0, 180.0, 220.0, "day"),
        ("adjusted change R - B1", 2.0, 0.5, 1.5, "NRS point"),
        ("change in standard errors", 4.0, None, None, "SE"),
    ]
