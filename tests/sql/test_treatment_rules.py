"""LF08 and LF16: pain after a change of opioid, and after other treatment."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

LF08, LF16 = "label_rules.lf08_rotation_response", "label_rules.lf16_other_treatment_response"
FEEDS = ("has_diagnoses", "has_procedures", "has_encounters", "has_adjuvants", "has_notes")
NONE, WITHIN_ERROR = "NONE | |", "ABSTAIN | | within_measurement_error"


def given(treatment: str, columns: str, row: str, followed: object = 500, missing: str = "", **values: object):
    header = {name.strip() for name in columns.split("|")}
    same = {
        "start_date": "D+200",
        "followed_days": 300,
        "before_nrs": 6,
        "before_mme": 60,
        "after_mme": 30,
        "before_week_count": 1000,
        "soon_week_count": 1000,
        "late_week_count": 1000,
        "switched_week_count": 1000,
    } | values
    response = drawn(
        f"episode_id | treatment | {columns}\n-\na | {treatment} | {row}",
        **{name: value for name, value in same.items() if name not in header},
    )
    feeds = dict.fromkeys(FEEDS, True) | ({missing: False} if missing else {})
    return {
        "episode.episode": drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_days=followed),
        "episode.delivered_feed": drawn("episode_id\n-\na", **feeds),
        "episode.treatment_response": response,
    }


@pytest.fixture
def check_rotation(check_sql):
    def check(columns: str, *rows: tuple[str, str], treatment: str = "opioid_rotation", **values: object) -> None:
        for row, then in rows:
            check_sql(
                LF08,
                given=given(treatment, columns, row, **values),
                settings={"within_person_sd_nrs": 2.0},
                then=f"rule | vote | strength | abstain_reason\n-\nLF08 | {then}",
            )

    return check


@pytest.fixture
def check_other(check_sql):
    def check(columns: str, *rows: tuple[str, str], treatment: str = "other_treatment", **values: object) -> None:
        for row, then in rows:
            check_sql(
                LF16,
                given=given(treatment, columns, row, **values),
                settings={"within_person_sd_nrs": 2.0},
                then=f"rule | vote | strength | abstain_reason\n-\nLF16 | {then}",
            )

    return check


def test_a_fall_by_30_percent_and_a_point_is_weak_and_strong_if_it_is_kept(check_rotation):
    check_rotation(
        "before_nrs | soon_nrs | late_nrs",
        ("6 | 4.2 | 4.2", "OIH | strong |"),
        ("6 | 4.2 | 4.201", "OIH | weak |"),
        ("6 | 4.2 |", "OIH | weak |"),
        ("6 | 4.201 | 2", NONE),
        # of 3, 30 % is less than a point
        ("3 | 2 | 2", "OIH | strong |"),
        ("3 | 2.001 | 2", NONE),
        # 0.3 x 4.19 is 1.257, in binary a hair above it
        ("4.19 | 2.933 | 2.933", "OIH | strong |"),
    )


def test_a_response_is_kept_only_if_two_later_weeks_say_so_beyond_their_error(check_rotation):
    """With few weeks later the standard error is 2 / sqrt(2), 0.84 of which is 1.188 (and before is known well)."""
    check_rotation(
        "soon_nrs | late_nrs | late_week_count",
        ("4 | 4 | 1", "OIH | weak |"),
        ("4 | 4 | 2", "OIH | strong |"),
        ("1 | 4.2 | 2", "OIH | strong |"),
    )
    check_rotation(
        "before_nrs | soon_nrs | late_nrs | late_week_count",
        ("3 | 1 | 1.8 | 2", "OIH | strong |"),
        ("3 | 1 | 1.82 | 2", "OIH | weak |"),
    )


def test_a_fall_within_measurement_error_is_no_vote(check_rotation):
    """Two weeks on either side: the standard error is 2, 0.84 of which is 1.68."""
    check_rotation(
        "before_nrs | soon_nrs | before_week_count | soon_week_count",
        ("5 | 3.32 | 2 | 2", "OIH | weak |"),
        ("5 | 3.321 | 2 | 2", WITHIN_ERROR),
        ("5 | 4 | 2 | 2", NONE),
    )


def test_a_rotation_that_cannot_be_read_is_no_evidence_either_way(check_rotation):
    check_rotation(
        "followed_days | before_week_count | soon_week_count | soon_nrs",
        ("90 | 2 | 2 | 1", "OIH | weak |"),
        ("89 | 9 | 9 | 1", "ABSTAIN | | follow_up_too_short"),
        ("| 9 | 9 | 1", "ABSTAIN | | follow_up_too_short"),
        ("90 | 1 | 9 | 1", "ABSTAIN | | too_few_scores_before_rotation"),
        ("90 | 9 | 1 | 1", "ABSTAIN | | too_few_scores_after_rotation"),
        ("90 | 0 | 0 |", "ABSTAIN | | too_few_scores_before_rotation"),
    )


@pytest.mark.parametrize(
    ("followed", "missing", "reason"),
    [
        (91, "", "no_rotation"),
        (90, "", "follow_up_too_short"),
        ("", "", "follow_up_too_short"),
        (500, "has_adjuvants", "no_adjuvant_feed"),
        (500, "has_procedures", "no_rotation"),
    ],
)
def test_without_a_rotation_lf08_abstains_with_its_reason(check_rotation, followed, missing, reason):
    check_rotation(
        "soon_nrs", ("1", f"ABSTAIN | | {reason}"), treatment="other_treatment", followed=followed, missing=missing
    )


def test_other_treatment_speaks_for_hyperalgesia_with_a_cut_by_15_percent_and_against_it_without(check_other):
    check_other(
        "switched_nrs | after_mme",
        ("4.2 | 51", "OIH | weak |"),
        ("4.2 | 51.001", "OTHER | weak |"),
        ("4.2 | 60", "OTHER | weak |"),
        ("4.201 | 30", NONE),
        ("4.2 |", "ABSTAIN | | dose_unknown"),
        ("6 |", NONE),
    )


def test_other_treatment_that_cannot_be_read_is_no_evidence_either_way(check_other):
    check_other(
        "followed_days | before_week_count | switched_week_count | switched_nrs",
        ("180 | 2 | 2 | 1", "OIH | weak |"),
        ("179 | 9 | 9 | 1", "ABSTAIN | | follow_up_too_short"),
        ("180 | 1 | 9 | 1", "ABSTAIN | | too_few_scores_before_treatment"),
        ("180 | 9 | 1 | 1", "ABSTAIN | | too_few_scores_after_treatment"),
        ("180 | 2 | 2 | 4.2", "OIH | weak |"),
    )
    check_other(
        "before_nrs | switched_nrs | before_week_count | switched_week_count", ("5 | 3.4 | 2 | 2", WITHIN_ERROR)
    )


@pytest.mark.parametrize(
    ("followed", "missing", "reason"),
    [
        (91, "", "no_other_treatment"),
        (90, "", "follow_up_too_short"),
        (500, "has_adjuvants", "no_adjuvant_feed"),
        (500, "has_procedures", "no_procedure_feed"),
    ],
)
def test_without_other_treatment_lf16_abstains_with_its_reason(check_other, followed, missing, reason):
    check_other(
        "switched_nrs", ("1", f"ABSTAIN | | {reason}"), treatment="opioid_rotation", followed=followed, missing=missing
    )


def test_the_evidence_is_the_change_what_was_kept_or_cut_and_the_day():
    def evidence(table, treatment, columns, row):
        connection = select(table, given=given(treatment, columns, row))
        return connection.sql(
            f"select name, round(value, 9), round(threshold, 9), round(margin, 9), unit "
            f"from (select unnest(evidence, recursive := true) from {table})"
        ).fetchall()

    assert evidence(LF08, "opioid_rotation", "soon_nrs | late_nrs", "4 | 5") == [
        ("change after the rotation", -2, -1.8, 0.2, "NRS point"),
        ("change that was kept", -1, -1.8, -0.8, "NRS point"),
        ("day of the rotation", 200, 455, 255, "day"),
    ]
    assert evidence(LF16, "other_treatment", "switched_nrs | after_mme", "4 | 54") == [
        ("change after the treatment", -2, -1.8, 0.2, "NRS point"),
        ("cut of the opioid with it", 0.1, 0.15, -0.05, "share"),
        ("day of the treatment", 200, 455, 255, "day"),
    ]
