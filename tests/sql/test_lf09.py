"""LF09, withdrawal: any of five signs that pain came and went with the supply."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "label_rules.lf09_withdrawal"
WD, NONE, NO_LATE_SCORES = "WD | weak |", "NONE | |", "ABSTAIN | | no_late_scores"
FEEDS = ("has_diagnoses", "has_procedures", "has_encounters", "has_adjuvants", "has_notes")


def cycles(*rises: object) -> str:
    return "episode_id | rise_nrs\n-\n" + "\n".join(f"a | {rise}" for rise in rises)


def given(adjuvants: bool = True, **tables: str) -> dict[str, str]:
    """An episode whose supplies were scored early and late without a difference, and that has no other sign."""
    usual = {
        "episode.episode": drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_days=500),
        "episode.delivered_feed": drawn(
            "episode_id\n-\na", **(dict.fromkeys(FEEDS, True) | {"has_adjuvants": adjuvants})
        ),
        "episode.nearest_event": drawn("episode_id | kind\n-\na | opioid_withdrawal"),
        "episode.refill_cycle": cycles(0, 0),
    }
    return usual | {name.replace("__", "."): drawing for name, drawing in tables.items()}


@pytest.fixture
def check(check_sql):
    def check(then: str, adjuvants: bool = True, settings: dict[str, object] | None = None, **tables: str) -> None:
        check_sql(
            TABLE,
            given=given(adjuvants, **tables),
            settings={"within_person_sd_nrs": 0.1} | (settings or {}),
            then=f"episode_id | rule | vote | strength | abstain_reason\n-\na | LF09 | {then}",
        )

    return check


@pytest.mark.parametrize(
    ("rises", "then"),
    [
        ((1.5, 1.5), WD),
        ((1.499, 1.5), NONE),
        ((3, 0), WD),
        ((3, 0, 0), NONE),
        ((5,), NO_LATE_SCORES),
        ((5, ""), NO_LATE_SCORES),
        ((), NO_LATE_SCORES),
    ],
)
def test_part_1_late_in_the_supply_it_hurts_more_by_1_5_over_two_cycles(check, rises, then):
    check(then, episode__refill_cycle=cycles(*rises))


@pytest.mark.parametrize(("sd", "then"), [(2.0, WD), (2.1, NONE)])
def test_part_1_is_beyond_measurement_error(check, sd, then):
    """Two cycles: 0.84 x SD x the root of 2 / 2 is 1.68 for 2.0 and 1.764 for 2.1."""
    check(then, episode__refill_cycle=cycles(1.7, 1.7), settings={"within_person_sd_nrs": sd})


def scores(*rows: str, **values: object) -> str:
    same = {"patient_index": 1, "setting": "outpatient", "is_masked": False} | values
    return drawn("score_date | pain_nrs\n-\n" + "\n".join(rows), **same)


def supply(*rows: str) -> str:
    return drawn("start_date | end_date | dose_mme\n-\n" + "\n".join(f"{row} | 60" for row in rows), patient_index=1)


GAP = supply("D-200 | D-1", "D+5 | D+200")  # five days, from D on
COURSE = ("D-10 | 4", "D+3 | 6", "D+20 | 4")


@pytest.mark.parametrize(
    ("course", "then"),
    [
        (COURSE, WD),
        (("D-10 | 4", "D+3 | 5.5", "D+20 | 4"), WD),
        (("D-10 | 4", "D+3 | 5.499", "D+20 | 4"), NONE),
        # within seven days of the gap
        (("D-10 | 4", "D+6 | 6", "D+20 | 4"), WD),
        (("D-10 | 4", "D+7 | 6", "D+20 | 4"), NONE),
        # back to within half a point, by 28 days after resumption
        (("D-10 | 4", "D+3 | 6", "D+20 | 4.5"), WD),
        (("D-10 | 4", "D+3 | 6", "D+20 | 4.501"), NONE),
        (("D-10 | 4", "D+3 | 6", "D+33 | 4"), WD),
        (("D-10 | 4", "D+3 | 6", "D+34 | 4"), NONE),
        (("D-10 | 4", "D+3 | 6"), NONE),
        # against the 28 days before
        (("D-28 | 4", "D+3 | 6", "D+20 | 4"), WD),
        (("D-29 | 4", "D+3 | 6", "D+20 | 4"), NONE),
        (("D-10 | 4", "D+20 | 4"), NONE),
    ],
)
def test_part_2_a_gap_in_supply_with_a_rise_that_passes_when_supply_is_back(check, course, then):
    check(then, trajectory__dose_period=GAP, trajectory__pain_day=scores(*course))


@pytest.mark.parametrize(
    ("periods", "then"),
    [
        (("D-200 | D-1", "D+3 | D+200"), WD),  # three days
        (("D-200 | D-1", "D+2 | D+200"), NONE),
        (("D-200 | D-1",), NONE),  # nobody knows that it is over
    ],
)
def test_part_2_a_gap_has_three_days_and_an_end(check, periods, then):
    check(then, trajectory__dose_period=supply(*periods), trajectory__pain_day=scores(*COURSE))


@pytest.mark.parametrize(("start", "then"), [("D-90", WD), ("D-91", NONE), ("D+50", WD), ("D+86", NONE)])
def test_part_2_a_gap_lies_between_day_minus_90_and_90(check, start, then):
    number = int(start[1:])
    course = (f"D{number - 10:+} | 4", f"D{number + 3:+} | 6", f"D{number + 20:+} | 4")
    check(
        then,
        trajectory__dose_period=supply(f"D-300 | D{number - 1:+}", f"D{number + 5:+} | D+300"),
        trajectory__pain_day=scores(*course),
    )


def test_part_2_nothing_is_read_after_day_90(check):
    periods = supply("D-300 | D+79", "D+83 | D+300")
    check(NONE, trajectory__dose_period=periods, trajectory__pain_day=scores("D+70 | 4", "D+81 | 6", "D+91 | 4"))
    check(WD, trajectory__dose_period=periods, trajectory__pain_day=scores("D+70 | 4", "D+81 | 6", "D+90 | 4"))


def test_part_2_is_beyond_measurement_error(check):
    """One scored week on either side: 0.84 x SD x the root of 2 is 1.96 for 1.65, and 2.02 for 1.7."""
    for sd, then in [(1.65, WD), (1.7, NONE)]:
        check(
            then,
            trajectory__dose_period=GAP,
            trajectory__pain_day=scores(*COURSE),
            settings={"within_person_sd_nrs": sd},
        )


def cut(date: str = "D+0", end: str = "D+29", event: str = "abrupt_cut", definition: str = "default") -> str:
    return drawn(f"event_date | end_date\n-\n{date} | {end}", patient_index=1, event=event, definition=definition)


@pytest.mark.parametrize(
    ("course", "then"),
    [
        (("D-10 | 4", "D+13 | 5.5", "D+20 | 4.5"), WD),
        (("D-10 | 4", "D+14 | 5.5", "D+20 | 3"), NONE),
        (("D-10 | 4", "D+13 | 5.5", "D+28 | 4"), WD),
        (("D-10 | 4", "D+13 | 5.5", "D+29 | 4"), NONE),
    ],
)
def test_part_3_an_abrupt_cut_with_a_rise_that_passes_by_day_28(check, course, then):
    check(then, trajectory__opioid_event=cut(), trajectory__pain_day=scores(*course))


@pytest.mark.parametrize(
    ("event", "then"),
    [
        (cut(event="taper"), NONE),
        (cut(definition="other"), NONE),
        (cut(end="D+90"), WD),
        (cut(end="D+91"), NONE),
    ],
)
def test_part_3_only_an_abrupt_cut_that_is_known_by_day_90_counts(check, event, then):
    check(then, trajectory__opioid_event=event, trajectory__pain_day=scores("D-10 | 4", "D+5 | 6", "D+20 | 4"))


@pytest.mark.parametrize(("margin", "then"), [("0", WD), ("", NONE), ("-1", NONE)])
def test_part_4_withdrawal_was_coded(check, margin, then):
    event = drawn(f"episode_id | kind | event_day | margin_days\n-\na | opioid_withdrawal | 90 | {margin}")
    check(then, episode__nearest_event=event)


def drugs(*rows: str) -> str:
    return drawn("exposure_class | start_date | end_date\n-\n" + "\n".join(rows), patient_index=1, ingredient="any")


@pytest.mark.parametrize(
    ("rows", "then"),
    [
        (["alpha2_agonist | D+14 | D+20"], WD),
        (["alpha2_agonist | D+15 | D+20"], NONE),
        (["alpha2_agonist | D-14 | D+20"], WD),
        (["alpha2_agonist | D-15 | D+20"], NONE),
        (["gabapentinoid | D+3 | D+20"], NONE),
        (["alpha2_agonist | D-200 | D-177", "alpha2_agonist | D+3 | D+20"], NONE),
        (["alpha2_agonist | D-200 | D-178", "alpha2_agonist | D+3 | D+20"], WD),
    ],
)
def test_part_5_a_new_drug_against_withdrawal_within_14_days_of_a_cut_or_gap(check, rows, then):
    check(then, trajectory__opioid_event=cut(), trajectory__exposure_period=drugs(*rows))
    check(then, trajectory__dose_period=GAP, trajectory__exposure_period=drugs(*rows))


def test_part_5_needs_a_cut_or_a_gap(check):
    check(NONE, trajectory__exposure_period=drugs("alpha2_agonist | D+3 | D+20"))


@pytest.mark.parametrize("values", [{"setting": "inpatient"}, {"is_masked": True}, {"patient_index": 2}])
def test_masked_scores_and_those_of_hospital_or_of_others_are_not_read(check, values):
    check(NONE, trajectory__dose_period=GAP, trajectory__pain_day=scores(*COURSE, **values))


@pytest.mark.parametrize(("masked_by", "then"), [("D+90", NONE), ("D+91", WD)])
def test_an_operation_after_day_90_masks_nothing_yet(check, masked_by, then):
    course = scores(*COURSE, is_masked=True, masked_by_date=masked_by)
    check(then, trajectory__dose_period=GAP, trajectory__pain_day=course)


def test_a_feed_that_was_not_delivered_is_no_denial(check):
    unread = drawn("episode_id | kind | unread_reason\n-\na | opioid_withdrawal | no_diagnosis_feed")
    check("ABSTAIN | | no_diagnosis_feed", episode__nearest_event=unread)
    check("ABSTAIN | | no_adjuvant_feed", adjuvants=False)
    # what was seen is a vote all the same
    check(WD, episode__nearest_event=unread, episode__refill_cycle=cycles(2, 2))
    check(WD, adjuvants=False, trajectory__dose_period=GAP, trajectory__pain_day=scores(*COURSE))


def test_the_evidence_has_every_part_with_its_margin():
    connection = select(
        TABLE,
        given=given(
            episode__refill_cycle=cycles(1, 2),
            trajectory__dose_period=GAP,
            trajectory__pain_day=scores("D-10 | 4", "D+3 | 5", "D+20 | 4"),
            trajectory__exposure_period=drugs("alpha2_agonist | D+20 | D+20"),
        ),
    )
    rows = connection.sql(f"select unnest(evidence, recursive := true) from {TABLE}").fetchall()
    assert rows == [
        ("late less early in the supply", 1.5, 1.5, 0, "NRS point"),
        ("supplies scored early and late", 2, 2, 0, "cycle"),
        ("largest rise in a gap or after a cut that passed", 1, 1.5, -0.5, "NRS point"),
        ("day of coded withdrawal", None, 90, None, "day"),
        ("drug against withdrawal, days from a cut or gap", 20, 14, -6, "day"),
    ]
