"""LF07, dechallenge failed: pain rose after a taper, more than without one."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf07_dechallenge_failed"


def profile(drawing: str, **values: object) -> str:
    """Episodes with a taper that can be read and a large rise of pain, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "cut_share": 0.5,
        "kept_cut_share": 0.5,
        "before_nrs": 9,
        "matched_count": 4,
        "change_se_nrs": 0.1,
        "adjusted_change_nrs": 5,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row; rows are episodes a, b, c ..."""

    def check(
        columns: str, *rows: tuple[str, str], settings: dict[str, object] | None = None, **values: object
    ) -> None:
        given, then = cases(columns, rows, "vote | strength | abstain_reason")
        check_sql(TABLE, given={"episode.dechallenge_profile": profile(given, **values)}, settings=settings, then=then)

    return check


def evidence(profiled: str) -> list[tuple[object, ...]]:
    connection = select(TABLE, given={"episode.dechallenge_profile": profiled})
    return connection.sql(
        f"select name, value, threshold, round(margin, 9), unit "
        f"from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()


WORSE, NONE = "NOT_OIH | weak |", "NONE | |"


def test_a_rise_of_1_is_against_hyperalgesia(check):
    check("adjusted_change_nrs", ("1", WORSE), ("0.999", NONE), ("0", NONE), ("-5", NONE))


def test_a_rise_exceeds_0_84_standard_errors(check):
    check(
        "adjusted_change_nrs | change_se_nrs",
        ("1.68 | 2", WORSE),
        ("1.679 | 2", "ABSTAIN | | within_measurement_error"),
        ("0.5 | 2", NONE),
    )


def test_what_cannot_be_read_is_no_evidence_either_way(check):
    check(
        "not_readable_reason | adjusted_change_nrs",
        ("no_taper |", "ABSTAIN | | no_taper"),
        ("dose_raised_again |", "ABSTAIN | | dose_raised_again"),
    )


def test_the_threshold_is_a_setting(check):
    check("adjusted_change_nrs", ("5", NONE), settings={"worsening_nrs": 5.1})


def test_every_dechallenge_has_one_vote(check_sql):
    given = profile("episode_id | not_readable_reason\n-\na |\nb | no_taper")
    check_sql(TABLE, given={"episode.dechallenge_profile": given}, then="episode_id | rule\n-\na | LF07\nb | LF07")


def test_the_evidence_is_the_cut_and_the_change_beyond_the_untapered():
    assert evidence(profile("episode_id\n-\na", adjusted_change_nrs=2, change_se_nrs=0.5)) == [
        ("cut against R", 0.5, 0.25, 0.25, "share"),
        ("cut against R while pain was read", 0.5, 0.15, 0.35, "share"),
        ("change after the taper, beyond untapered episodes", 2.0, 1.0, 1.0, "NRS point"),
        ("rise in standard errors", 4.0, 0.84, 3.16, "SE"),
        ("matched patients without a taper", 4.0, None, None, "patient"),
    ]
