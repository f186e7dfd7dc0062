"""LF06, dechallenge improved: pain fell after a taper, more than without one."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf06_dechallenge_improved"


def tapered(drawing: str, **values: object) -> str:
    """Episodes with a taper that can be read, many scores and a large fall of pain, but for the columns drawn."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "is_taper": True,
        "is_observable": True,
        "cut_share": 0.5,
        "before_nrs": 9,
        "before_week_count": 1000,
        "after_week_count": 1000,
        "change_nrs": -5,
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
            given={"episode.dechallenge": tapered(f"episode_id | {columns}\n-\n{given}", **values)},
            settings={"within_person_sd_nrs": 2.0},
            then=f"episode_id | vote | strength | abstain_reason\n-\n{then}",
        )

    return check


WEAK, STRONG, NONE = "OIH | weak |", "OIH | strong |", "NONE | |"
WITHIN_ERROR = "ABSTAIN | | within_measurement_error"


def test_a_fall_of_1_is_weak_and_of_2_strong(check):
    check("change_nrs", ("-0.999", NONE), ("-1", WEAK), ("-1.999", WEAK), ("-2", STRONG), ("1", NONE))


def test_a_fall_of_30_percent_is_strong_if_it_is_1(check):
    check(
        "before_nrs | change_nrs",
        ("5 | -1.5", STRONG),
        ("5 | -1.499", WEAK),
        # 0.3 x 4.19 is 1.257, in binary a hair above it
        ("4.19 | -1.257", STRONG),
        ("2 | -1", STRONG),
        ("2 | -0.6", NONE),
    )


def test_a_weak_fall_exceeds_0_84_and_a_strong_one_1_645_standard_errors(check):
    """With two scored weeks on either side the standard error is the SD of a week, here 2."""
    check(
        "change_nrs",
        ("-1.68", WEAK),
        ("-1.679", WITHIN_ERROR),
        ("-3.29", STRONG),
        ("-3.289", WEAK),
        ("-0.5", NONE),
        before_week_count=2,
        after_week_count=2,
    )


def test_what_cannot_be_read_is_no_evidence_either_way(check):
    check(
        "is_taper | is_observable | cut_share | before_week_count | after_week_count | change_nrs",
        ("false | true | 0.2 | 9 | 9 | 0", "ABSTAIN | | no_taper"),
        ("false | true | | 9 | 9 | -5", "ABSTAIN | | dose_unknown"),
        ("true | false | 0.5 | 9 | 9 | -5", "ABSTAIN | | follow_up_too_short"),
        ("true | true | 0.5 | 1 | 9 | -5", "ABSTAIN | | too_few_scores_before_taper"),
        ("true | true | 0.5 | 9 | 1 | -5", "ABSTAIN | | too_few_scores_after_taper"),
        ("true | true | 0.5 | 2 | 2 | -5", STRONG),
    )


def test_without_scores_there_is_a_reason_and_no_division_by_zero(check):
    check(
        "before_week_count | after_week_count | change_nrs",
        ("0 | 9 |", "ABSTAIN | | too_few_scores_before_taper"),
        ("9 | 0 |", "ABSTAIN | | too_few_scores_after_taper"),
        ("0 | 0 |", "ABSTAIN | | too_few_scores_before_taper"),
    )


def test_the_change_without_a_taper_is_subtracted(check_sql):
    """Two untapered episodes fell by 0.4 on average: of a fall by 1.4 one point is left."""
    check_sql(
        TABLE,
        given={
            "episode.dechallenge": tapered(
                """
                episode_id | is_taper | change_nrs
                -----------+----------+-----------
                a          | true     | -1.4
                b          | true     | -1.399
                c          | false    | 0.2
                d          | false    | -1
                """
            )
        },
        then="episode_id | vote\n-\na | OIH\nb | NONE\nc | ABSTAIN\nd | ABSTAIN",
    )


def test_only_untapered_episodes_that_can_be_read_are_compared_with(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.dechallenge": tapered(
                """
                episode_id | is_taper | is_observable | cut_share | before_week_count | after_week_count | change_nrs
                -----------+----------+---------------+-----------+-------------------+------------------+-----------
                a          | true     | true          | 0.5       | 1000              | 1000             | -1
                b          | true     | true          | 0.5       | 1000              | 1000             | -9
                c          | false    | false         | 0         | 9                 | 9                | -9
                d          | false    | true          |           | 9                 | 9                | -9
                e          | false    | true          | 0         | 1                 | 9                | -9
                f          | false    | true          | 0         | 9                 | 1                | -9
                """
            )
        },
        then=drawn(
            """
            episode_id | vote
            -----------+--------
            a          | OIH
            b          | OIH
            c          | ABSTAIN
            d          | ABSTAIN
            e          | ABSTAIN
            f          | ABSTAIN
            """
        ),
    )


def test_every_dechallenge_has_one_vote(check_sql):
    check_sql(
        TABLE,
        given={"episode.dechallenge": tapered("episode_id | is_taper\n-\na | true\nb | false\nc | false")},
        then="episode_id | rule\n-\na | LF06\nb | LF06\nc | LF06",
    )


def test_the_evidence_is_the_cut_and_the_change_beyond_the_untapered():
    connection = select(
        TABLE,
        given={
            "episode.dechallenge": tapered(
                "episode_id | is_taper | cut_share | change_nrs\n-\na | true | 0.4 | -2\nb | false | 0.1 | -0.5"
            )
        },
    )
    rows = connection.sql(
        f"select name, value, threshold, round(margin, 9), unit from "
        f"(select unnest(evidence, recursive := true) from {TABLE} where episode_id = 'a')"
    ).fetchall()
    assert rows == [
        ("cut against R", 0.4, 0.25, 0.15, "share"),
        ("change after the taper, beyond untapered episodes", -1.5, -1.0, 0.5, "NRS point"),
    ]
