"""LF14, recognition: a clinician noted hyperalgesia, or a sign of it."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf14_clinician_recognition"
STRONG, WEAK, NONE = "OIH | strong |", "OIH | weak |", "NONE | |"


def given(notes: bool = True, followed: object = 455, **tables: str) -> dict[str, str]:
    usual = {
        "episode.episode": drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_days=followed),
        "episode.delivered_feed": drawn("episode_id\n-\na", has_notes=notes),
    }
    return usual | {name.replace("__", "."): drawing for name, drawing in tables.items()}


def mention(*rows: str, patient: int = 1) -> str:
    return drawn("mention_date | concept | is_negated\n-\n" + "\n".join(rows), patient_index=patient)


def code(*days: str) -> str:
    return drawn("coded_date\n-\n" + "\n".join(days), patient_index=1, concept="skin_hypersensitivity")


@pytest.fixture
def check(check_sql):
    def check(then: str, **tables: object) -> None:
        check_sql(
            TABLE,
            given=given(**tables),
            then=f"episode_id | rule | vote | strength | abstain_reason\n-\na | LF14 | {then}",
        )

    return check


@pytest.mark.parametrize(
    ("row", "then"),
    [
        ("D+91 | opioid_induced_hyperalgesia | false", STRONG),
        ("D+455 | opioid_induced_hyperalgesia | false", STRONG),
        ("D+90 | opioid_induced_hyperalgesia | false", NONE),
        ("D+456 | opioid_induced_hyperalgesia | false", NONE),
        ("D+100 | opioid_induced_hyperalgesia | true", NONE),
        ("D+91 | allodynia | false", WEAK),
        ("D+100 | allodynia | true", NONE),
        ("D+90 | allodynia | false", NONE),
        ("D+100 | allodynia | false\nD+101 | opioid_induced_hyperalgesia | false", STRONG),
        ("D+100 | opioid_induced_hyperalgesia | true\nD+101 | opioid_induced_hyperalgesia | false", STRONG),
    ],
)
def test_a_mention_that_is_not_negated_counts_from_day_91_to_455(check, row, then):
    check(then, clean__note_mention=mention(row))


@pytest.mark.parametrize(
    ("days", "then"),
    [
        (["D+91"], WEAK),
        (["D+455"], WEAK),
        (["D+456"], NONE),
        (["D+90", "D+100"], NONE),
        (["D-365", "D+100"], NONE),
        (["D-366", "D+100"], WEAK),
    ],
)
def test_a_first_code_of_hypersensitive_skin_is_weak(check, days, then):
    check(then, trajectory__concept_day=code(*days))


def test_another_patients_note_is_none(check):
    check(NONE, clean__note_mention=mention("D+100 | opioid_induced_hyperalgesia | false", patient=2))


@pytest.mark.parametrize(
    ("notes", "followed", "reason"),
    [
        (True, 270, ""),
        (True, 269, "follow_up_too_short"),
        (True, "", "follow_up_too_short"),
        (False, 455, "no_note_feed"),
    ],
)
def test_that_nobody_noted_it_tells_something_only_with_notes_and_270_days(check, notes, followed, reason):
    check(f"ABSTAIN | | {reason}" if reason else NONE, notes=notes, followed=followed)


def test_a_code_is_a_vote_without_notes_and_a_mention_one_without_long_follow_up(check):
    check(WEAK, notes=False, trajectory__concept_day=code("D+100"))
    check(STRONG, followed=120, clean__note_mention=mention("D+100 | opioid_induced_hyperalgesia | false"))


def test_the_evidence_is_the_first_day_of_each_sign():
    tables = {
        "clean__note_mention": mention("D+300 | allodynia | false", "D+200 | allodynia | false"),
        "trajectory__concept_day": code("D+400"),
    }
    rows = (
        select(TABLE, given=given(**tables)).sql(f"select unnest(evidence, recursive := true) from {TABLE}").fetchall()
    )
    assert rows == [
        ("day of a mention of hyperalgesia", None, 455, None, "day"),
        ("day of a mention of allodynia", 200, 455, 255, "day"),
        ("day of a first code of hypersensitive skin", 400, 455, 55, "day"),
    ]
