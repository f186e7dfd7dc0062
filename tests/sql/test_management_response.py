"""What was done after an episode, when it counts as done, and pain before and after it beside matched episodes."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.management_response"
PROFILE = drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_end_date="D+900", excluded_reason="")


def exposure(drawing: str) -> str:
    return drawn(f"exposure_class | start_date | end_date\n-\n{drawing}", patient_index=1, ingredient="any")


def tapered(on: str, event: str = "taper", definition: str = "default") -> str:
    return drawn(f"event_date\n-\n{on}", patient_index=1, event=event, definition=definition)


@pytest.fixture
def check(check_sql):
    def check(then: str, profile: str = PROFILE, **given: str) -> None:
        rows = {"episode.episode_profile": profile} | {
            name.replace("__", "."): drawing for name, drawing in given.items()
        }
        check_sql(TABLE, given=rows, then=drawn(then))

    return check


NOTHING = "response\n-"


@pytest.mark.parametrize(("day", "seen"), [(90, False), (91, True), (455, True), (456, False)])
def test_a_response_begins_in_the_confirmation_window(check, day, seen):
    then = f"episode_id | response | response_day\n-\na | taper | {day}" if seen else NOTHING
    check(then, trajectory__opioid_event=tapered(f"D+{day}"))


@pytest.mark.parametrize(("event", "definition"), [("escalation", "default"), ("taper", "fenton_2019")])
def test_only_the_default_taper_is_a_taper_here(check, event, definition):
    check(NOTHING, trajectory__opioid_event=tapered("D+100", event, definition))


def test_the_first_of_its_kind_counts(check):
    switches = drawn("switch_date\n-\nD+200\nD+120\nD+10", patient_index=1, event="rotation")
    check("response | response_day\n-\nrotation | 120", trajectory__opioid_switch=switches)


@pytest.mark.parametrize(
    ("exposure_class", "response"),
    [
        ("low_dose_naltrexone", "low_dose_naltrexone"),
        ("full_dose_naltrexone", "antagonist"),
        ("opioid_antagonist", None),
        ("naltrexone", "naltrexone_of_unknown_dose"),
        ("gabapentinoid", "gabapentinoid"),
        ("snri", "antidepressant"),
        ("rescue_naloxone", None),
        ("peripherally_acting_antagonist", None),
        ("nsaid", None),
    ],
)
def test_low_dose_naltrexone_is_apart_and_drugs_that_oppose_no_pain_relief_are_no_response(
    check, exposure_class, response
):
    then = f"response\n-\n{response}" if response else NOTHING
    check(then, trajectory__exposure_period=exposure(f"{exposure_class} | D+100 | D+130"))


@pytest.mark.parametrize(("earlier_end", "seen"), [("D+8", True), ("D+10", False)])
def test_a_drug_is_begun_when_there_was_none_of_its_kind_for_long_enough(check_sql, earlier_end, seen):
    given = {
        "episode.episode_profile": PROFILE,
        "trajectory.exposure_period": exposure(f"snri | D-100 | {earlier_end}\ntca | D+100 | D+130"),
    }
    then = "response\n-\nantidepressant" if seen else NOTHING
    check_sql(TABLE, given=given, then=then, settings={"new_drug_days": 91})


@pytest.mark.parametrize(("start", "day"), [("D+40", 100), ("D+39", None), ("D+160", 160), ("D+161", None)])
def test_a_switch_is_a_taper_and_a_start_of_something_else_within_60_days(check, start, day):
    then = "response | response_day\n-\ntaper | 100" + (f"\nnon_opioid_switch | {day}" if day else "")
    check(
        then,
        trajectory__opioid_event=tapered("D+100"),
        trajectory__exposure_period=exposure(f"nsaid | {start} | D+300"),
    )


@pytest.mark.parametrize("concept", ["injection", "physical_therapy"])
def test_coded_care_is_a_response(check, concept):
    coded = drawn("coded_date\n-\nD+100", patient_index=1, concept=concept)
    check(f"response\n-\n{concept}", trajectory__concept_day=coded)


@pytest.mark.parametrize("reason", ["excluded_reason", "not_classifiable_reason"])
def test_episodes_that_cannot_be_judged_have_no_responses(check, reason):
    profile = drawn(
        f"episode_id | {reason}\n-\na | said", patient_index=1, index_date="D+0", follow_up_end_date="D+900"
    )
    check(NOTHING, profile=profile, trajectory__opioid_event=tapered("D+100"))


def test_pain_is_read_in_the_quarter_before_and_after_a_hole_of_the_size_of_withdrawal(check):
    # Weeks begin on Mondays, as D does.
    days = [(9, 9), (14, 4), (98, 6), (104, 2), (131, 1), (133, 3), (280, 5), (285, 9)]
    rows = "\n".join(f"D+{day} | {nrs}" for day, nrs in days)
    pain = drawn(f"score_date | pain_nrs\n-\n{rows}", patient_index=1, setting="outpatient", is_masked=False)
    then = "response | before_nrs | after_nrs | change_nrs\n-\ntaper | 5 | 4 | -1"
    check(then, trajectory__opioid_event=tapered("D+104"), trajectory__pain_day=pain)


def test_the_change_needs_two_scored_weeks_on_either_side(check):
    pain = drawn(
        "score_date | pain_nrs\n-\nD+14 | 4\nD+133 | 3\nD+280 | 5",
        patient_index=1,
        setting="outpatient",
        is_masked=False,
    )
    then = "response | before_nrs | after_nrs | change_nrs\n-\ntaper | 4 | 4 |"
    check(then, trajectory__opioid_event=tapered("D+104"), trajectory__pain_day=pain)


# Matched episodes


def compared(check_sql, then: str, others: str, responses: str = "", feeds: str = "true", **settings: object) -> None:
    """Episode a of patient 1, tapered on day 104 with a change of -2, beside episodes at 60 MME and 5 points."""
    head = "episode_id | patient_index | index_kind | proximal_mme | distal_nrs | proximal_nrs | prior_therapy_days"
    patients = range(1, 9)
    given = {
        "episode.episode_profile": drawn(
            f"{head}\n-\na | 1 | dose_led | 60 | 5 | 5 | 400\n{others}",
            index_date="D+0",
            excluded_reason="",
            not_classifiable_reason="",
        ),
        "clean.patient": drawn("patient_index\n-\n" + "\n".join(map(str, patients)), source="north"),
        "episode.delivered_feed": drawn(
            "episode_id\n-\na\nb\nc", has_adjuvants=feeds == "true", has_procedures=feeds == "true"
        ),
        "episode.management_response": "episode_id | response | response_day | change_nrs\n-\n"
        + (responses or "a | taper | 104 | -2"),
        "trajectory.pain_day": drawn(
            "patient_index | score_date | pain_nrs\n-\n"
            + "\n".join(
                f"{patient} | D+{day} | {nrs}"
                for patient in patients
                for day, nrs in ((20, 5), (90, 5), (140, 5 - patient / 4), (200, 5 - patient / 4), (110, 10))
            ),
            setting="outpatient",
            is_masked=False,
        ),
    }
    check_sql("episode.response_comparison", given=given, then=then, settings=settings)


B = "b | 2 | dose_led | 60 | 5 | 5 | 400"
MATCHED = "episode_id | response | change_nrs | matched_count | matched_change_nrs\n-\n"


def test_pain_of_a_matched_episode_is_read_around_the_same_day(check_sql):
    compared(check_sql, MATCHED + "a | taper | -2 | 1 | -0.5", B)


@pytest.mark.parametrize(
    "other",
    [
        "b | 2 | sham_maintainer | 60 | 5 | 5 | 400",
        "b | 2 | dose_led | 49 | 5 | 5 | 400",
        "b | 2 | dose_led | 60 | 6.01 | 5 | 400",
        "b | 2 | dose_led | 60 | 5 | 3.99 | 400",
        "b | 1 | dose_led | 60 | 5 | 5 | 400",
    ],
)
def test_a_match_is_another_patient_of_the_same_kind_and_band_within_the_caliper(check_sql, other):
    compared(check_sql, MATCHED + "a | taper | -2 | 0 |", other)


@pytest.mark.parametrize(
    ("caliper", "distal", "proximal", "count"),
    [
        (1, 6, 4, 1),
        (1, 4, 6, 1),
        (1, 3.999, 5, 0),
        (1, 5, 6.001, 0),
        # 0.3 does not divide 5, and is none of its binary neighbours
        (0.3, 5.3, 4.7, 1),
        (0.3, 4.7, 5.3, 1),
        (0.3, 5.301, 5, 0),
        (0.3, 5, 4.699, 0),
        (2.5, 2.5, 7.5, 1),
        (2.5, 7.501, 5, 0),
    ],
)
def test_everyone_within_the_caliper_is_found_whatever_it_is(check_sql, caliper, distal, proximal, count):
    change = "-0.5" if count else ""
    compared(
        check_sql,
        f"{MATCHED}a | taper | -2 | {count} | {change}",
        f"b | 2 | dose_led | 60 | {distal} | {proximal} | 400",
        match_caliper_nrs=caliper,
    )


def test_where_dates_are_shifted_pain_and_dose_alone_decide_who_is_matched(check_sql):
    far = B.replace("b |", "c |").replace("| 2 |", "| 3 |").replace("| 5 | 5 |", "| 5 | 9 |")
    compared(check_sql, MATCHED + "a | taper | -2 | 1 | -0.5", f"{B}\n{far}", shifted_sources=["north"])


def test_an_episode_with_the_response_is_no_comparison(check_sql):
    responses = "a | taper | 104 | -2\nb | taper | 300 |"
    compared(check_sql, MATCHED + "a | taper | -2 | 0 |", B, responses)
    compared(check_sql, MATCHED + "a | taper | -2 | 1 | -0.5", B, responses.replace("b | taper", "b | rotation"))


def test_who_could_not_be_seen_to_have_the_response_is_no_comparison(check_sql):
    compared(check_sql, MATCHED + "a | gabapentinoid | -2 | 0 |", B, "a | gabapentinoid | 104 | -2", feeds="false")


def test_the_nearest_matches_count(check_sql):
    c = "c | 4 | dose_led | 60 | 5.5 | 5 | 400"
    compared(check_sql, MATCHED + "a | taper | -2 | 2 | -0.75", f"{B}\n{c}")
    compared(check_sql, MATCHED + "a | taper | -2 | 1 | -0.5", f"{B}\n{c}", match_count=1)


# Report


def test_responses_are_counted_in_multiples_and_means_are_of_enough_patients(check_sql):
    ids = range(16)
    given = {
        "episode.episode_profile": drawn("episode_id\n-\n" + "\n".join(map(str, ids)), index_kind="dose_led"),
        "episode.management_response": "episode_id | patient_index | response | before_nrs | after_nrs | change_nrs\n-\n"
        + "\n".join(f"{n} | {n} | taper | 6 | 5 | {-1 if n < 11 else ''}" for n in ids)
        + "\n"
        + "\n".join(f"{n} | {n} | rotation | 6 | 5 | -1" for n in range(10)),
        "episode.response_comparison": "episode_id | response | matched_change_nrs\n-\n"
        + "\n".join(f"{n} | taper | -0.5" for n in range(10)),
    }
    then = """
        index_kind | response | patient_count | scored_count | matched_count | before_nrs | change_nrs | matched_change_nrs
        -
        dose_led   | taper    | 11            | 11           | 11            | 6          |            |
    """
    check_sql("report.management_response", given=given, then=then)
