"""LF05, spread: pain was coded in new regions of the body, or of the whole body for the first time."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf05_spread"
# Two days with codes in the look-back, and two in the window, of each of nine patients.
CODED = "patient_index | diagnosis_date\n-\n" + "\n".join(
    f"{patient} | D{day}" for patient in range(1, 10) for day in ("-365", "-31", "-30", "+180")
)
SPREAD, NONE = "OIH | weak |", "NONE | |"


def tables(region: str = "", coded: str = CODED, has_diagnoses: bool = True, **values: object) -> dict[str, str]:
    """One episode, a, of patient 1, followed for 400 days."""
    same = {"patient_index": 1, "index_date": "D+0", "follow_up_days": 400} | values
    given = {
        "episode.episode": drawn("episode_id\n-\na", **same),
        "episode.delivered_feed": drawn("episode_id\n-\na", has_diagnoses=has_diagnoses),
        "clean.diagnosis": drawn(coded),
    }
    if region:
        given["trajectory.pain_region_day"] = drawn(f"coded_date | region\n-\n{region}", patient_index=1)
    return given


@pytest.fixture
def check(check_sql):
    def check(region: str, vote: str, settings: dict[str, object] | None = None, **values: object) -> None:
        check_sql(
            TABLE,
            given=tables(region, **values),
            settings=settings,
            then=f"vote | strength | abstain_reason\n-\n{vote}",
        )

    return check


def test_two_new_regions_are_spread_and_one_is_not(check):
    check("D+10 | neck\nD+20 | upper_limb", SPREAD)
    check("D+10 | neck", NONE)
    check("D+10 | neck\nD+20 | neck", NONE)
    check("", NONE)


@pytest.mark.parametrize("region", ["widespread", "overlapping_pain_condition"])
def test_the_first_code_of_the_whole_body_or_of_an_overlapping_condition_is_spread(check, region):
    check(f"D+10 | {region}", SPREAD)
    check(f"D-31 | {region}\nD+10 | {region}", NONE)


def test_widespread_pain_is_new_beside_an_older_overlapping_condition(check):
    check("D-200 | overlapping_pain_condition\nD+10 | widespread", SPREAD)


def test_general_codes_are_no_regions(check):
    check("D-200 | widespread\nD+10 | widespread\nD+10 | neck", NONE)


@pytest.mark.parametrize(("day", "vote"), [("-31", NONE), ("-30", SPREAD), ("+180", SPREAD), ("+181", NONE)])
def test_the_window_is_from_day_minus_30_to_day_180(check, day, vote):
    check(f"D{day} | neck\nD{day} | upper_limb", vote)


@pytest.mark.parametrize(("day", "vote"), [("-365", NONE), ("-31", NONE), ("-366", SPREAD)])
def test_a_region_of_the_look_back_is_not_new(check, day, vote):
    check(f"D{day} | neck\nD+10 | neck\nD+10 | upper_limb", vote)


def test_only_the_patients_own_regions_count(check_sql):
    given = tables()
    given["trajectory.pain_region_day"] = drawn(
        "patient_index | coded_date | region\n-\n2 | D+10 | neck\n2 | D+10 | chest"
    )
    check_sql(TABLE, given=given, then="vote\n-\nNONE")


def coded(*days: str) -> str:
    return "patient_index | diagnosis_date\n-\n" + "\n".join(f"1 | D{day}" for day in days)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (("-365", "-31", "-30", "+180"), ""),
        (("-366", "-31", "-30", "+180"), "too_few_coded_days_before"),
        (("-31", "-31", "-30", "+180"), "too_few_coded_days_before"),
        (("-365", "-31", "-30", "+181"), "too_few_coded_days_in_window"),
        (("-365", "-31", "+5", "+5"), "too_few_coded_days_in_window"),
        (("-400",), "too_few_coded_days_before"),
    ],
)
def test_fewer_than_two_days_with_codes_before_or_in_the_window_say_nothing(check, days, reason):
    said = f"ABSTAIN | | {reason}" if reason else SPREAD
    check("D+10 | widespread", said, coded=coded(*days))


def test_where_no_diagnoses_were_delivered_nothing_is_denied(check, check_sql):
    check("", "ABSTAIN | | no_diagnosis_feed", has_diagnoses=False)
    given = tables() | {"episode.delivered_feed": ""}
    check_sql(TABLE, given=given, then="vote | abstain_reason\n-\nABSTAIN | no_diagnosis_feed")


def test_what_was_not_followed_to_the_end_may_still_spread(check):
    short = "ABSTAIN | | follow_up_too_short"
    check("", NONE, follow_up_days=180)
    check("", short, follow_up_days=179)
    check("", short, follow_up_days="")
    check("D+10 | widespread", SPREAD, follow_up_days=100)


def test_the_thresholds_are_settings(check):
    two = "D+10 | neck\nD+20 | upper_limb"
    check(two, NONE, settings={"spread_min_regions": 3})
    check(two, "ABSTAIN | | too_few_coded_days_before", settings={"spread_min_coded_days": 3})


def test_an_excluded_episode_has_no_vote(check_sql):
    check_sql(TABLE, given=tables(excluded_reason="under_age"), then="episode_id | rule\n-")


def evidence(**values: object) -> list[tuple[object, ...]]:
    connection = select(TABLE, given=tables(**values))
    return connection.sql(
        f"select name, value, threshold, margin from (select unnest(evidence, recursive := true) from {TABLE})"
    ).fetchall()


def test_the_evidence_says_what_was_seen_by_day_90_and_what_only_later():
    assert evidence(region="D+90 | neck\nD+91 | chest\nD+91 | widespread") == [
        ("new body regions by the end of the spread window (retrospective)", 2.0, 2.0, 0.0),
        ("first widespread or overlapping codes by then (retrospective)", 1.0, 1.0, 0.0),
        ("new body regions by the end of R", 1.0, 2.0, -1.0),
        ("first widespread or overlapping codes by the end of R", 0.0, 1.0, -1.0),
        ("days with codes in the look-back", 2.0, 2.0, 0.0),
        ("days with codes in the spread window", 2.0, 2.0, 0.0),
    ]


def test_the_evidence_of_an_undelivered_feed_is_unknown():
    assert {(value, margin) for _, value, _, margin in evidence(has_diagnoses=False)} == {(None, None)}
