"""LF06, dechallenge improved: pain fell after a taper, more than without one."""

import pytest

from tests.conftest import select
from tests.sql.drawing import cases, drawn

TABLE = "label_rules.lf06_dechallenge_improved"


def profile(drawing: str, **values: object) -> str:
    """Episodes with a taper that can be read and a large fall of pain, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "episode_id": "a",
        "cut_share": 0.5,
        "kept_cut_share": 0.5,
        "before_nrs": 9,
        "matched_count": 4,
        "change_se_nrs": 0.1,
        "adjusted_change_nrs": -5,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


def alone(ids: str = "abcdefghij") -> str:
    """Tapers around which nothing else was begun."""
    return drawn("episode_id\n-\n" + "\n".join(ids), new_drug_count=0, new_therapy_count=0, procedure_count=0)


@pytest.fixture
def check(check_sql):
    """Expect a vote, its strength and its reason for each drawn row; rows are episodes a, b, c ..."""

    def check(
        columns: str, *rows: tuple[str, str], settings: dict[str, object] | None = None, **values: object
    ) -> None:
        given, then = cases(columns, rows, "vote | strength | abstain_reason")
        check_sql(
            TABLE,
            given={"episode.dechallenge_profile": profile(given, **values), "episode.co_intervention": alone()},
            settings=settings,
            then=then,
        )

    return check


WEAK, STRONG, NONE = "OIH | weak |", "OIH | strong |", "NONE | |"
WITHIN_ERROR = "ABSTAIN | | within_measurement_error"


def test_a_fall_of_1_is_weak_and_of_2_strong(check):
    check("adjusted_change_nrs", ("-0.999", NONE), ("-1", WEAK), ("-1.999", WEAK), ("-2", STRONG), ("1", NONE))


def test_a_fall_of_30_percent_is_strong_if_it_is_1(check):
    check(
        "before_nrs | adjusted_change_nrs",
        ("5 | -1.5", STRONG),
        ("5 | -1.499", WEAK),
        # 0.3 x 4.19 is 1.257, in binary a hair above it
        ("4.19 | -1.257", STRONG),
        ("2 | -1", STRONG),
        ("2 | -0.6", NONE),
    )


def test_a_weak_fall_exceeds_0_84_and_a_strong_one_1_645_standard_errors(check):
    check(
        "adjusted_change_nrs",
        ("-1.68", WEAK),
        ("-1.679", WITHIN_ERROR),
        ("-3.29", STRONG),
        ("-3.289", WEAK),
        ("-0.5", NONE),
        change_se_nrs=2,
    )


def test_what_cannot_be_read_is_no_evidence_either_way(check):
    check(
        "not_readable_reason | adjusted_change_nrs",
        ("no_taper |", "ABSTAIN | | no_taper"),
        ("follow_up_too_short |", "ABSTAIN | | follow_up_too_short"),
    )


@pytest.mark.parametrize(
    ("treatment", "strength"),
    [
        ("0 | 0 | 0", "strong"),
        ("1 | 0 | 0", "weak"),
        ("0 | 1 | 0", "weak"),
        ("0 | 0 | 1", "weak"),
        # a feed that was not delivered does not say that there was nothing
        (" | 0 | 0", "weak"),
        ("0 | | ", "weak"),
    ],
)
def test_a_fall_is_weak_where_something_else_was_begun_or_nobody_knows(check_sql, treatment, strength):
    columns = "episode_id | new_drug_count | new_therapy_count | procedure_count"
    check_sql(
        TABLE,
        given={
            "episode.dechallenge_profile": profile("episode_id\n-\na"),
            "episode.co_intervention": f"{columns}\n-\na | {treatment}",
        },
        then=f"vote | strength\n-\nOIH | {strength}",
    )


def test_the_thresholds_are_settings(check):
    check("before_nrs", ("9", NONE), settings={"improvement_nrs": -5.1})
    check("before_nrs", ("9", WEAK), settings={"strong_improvement_nrs": -5.1, "strong_rise_share": 0.6})


def test_every_dechallenge_has_one_vote(check):
    check(
        "not_readable_reason | adjusted_change_nrs",
        (" | -5", STRONG),
        ("no_taper |", "ABSTAIN | | no_taper"),
        ("dose_unknown |", "ABSTAIN | | dose_unknown"),
    )


def test_the_evidence_is_the_cut_the_change_beyond_the_untapered_and_what_else_was_begun():
    connection = select(
        TABLE,
        given={
            "episode.dechallenge_profile": profile("episode_id\n-\na", adjusted_change_nrs=-1.5, change_se_nrs=0.5),
            "episode.co_intervention": "episode_id | new_drug_count | new_therapy_count | procedure_count\n-\na | 1 | 0 | 2",
        },
    )
    rows = connection.sql(
        f"select name, value, threshold, round(margin, 9), unit from "
        f"(select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()
    assert rows == [
        ("cut against R", 0.5, 0.25, 0.25, "share"),
        ("cut against R while pain was read", 0.5, 0.15, 0.35, "share"),
        ("change after the taper, beyond untapered episodes", -1.5, -1.0, 0.5, "NRS point"),
        ("fall in standard errors", 3.0, 0.84, 2.16, "SE"),
        ("matched patients without a taper", 4.0, None, None, "patient"),
        ("new treatments around the taper", 3.0, 0.0, -3.0, "treatment"),
    ]
