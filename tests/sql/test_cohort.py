"""How far each patient gets: every flag from the rows that decide it."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.cohort"

PATIENT = "patient_index | source\n-\n1 | north"


def test_a_patient_with_nothing_keeps_a_row_and_meets_nothing(check_sql):
    check_sql(
        TABLE,
        given={"clean.patient": PATIENT},
        then=drawn(
            PATIENT,
            has_opioid_record=False,
            has_known_dose=False,
            has_pain_score=False,
            has_outpatient_scores=False,
            has_long_term_therapy=False,
            has_escalation=False,
            is_adult=False,
            has_look_back=False,
            is_in_scope=False,
            has_no_long_stay=False,
            has_no_unseen_care=False,
            is_not_excluded=False,
            has_follow_up=False,
            is_classifiable=False,
        ),
    )


def test_many_rows_of_every_kind_are_one_row_per_patient(check_sql):
    twice = "patient_index\n-\n1\n1\n2"
    check_sql(
        TABLE,
        given={
            "clean.patient": "patient_index | source\n-\n1 | north\n2 | south\n3 | south",
            "trajectory.record_dose": drawn(twice, is_in_timeline=True, dose_micro_mme=1),
            "trajectory.pain_day": drawn(twice, pain_nrs=5, score_date="D+0", setting="outpatient"),
            "trajectory.therapy_run": drawn(twice, long_term_date="D+0"),
            "episode.escalation": twice,
            "episode.episode_change": drawn(twice, index_kind="dose_led"),
        },
        then="""
            patient_index | source | has_opioid_record | has_escalation | is_classifiable
            --------------+--------+-------------------+----------------+----------------
            1             | north  | true              | true           | true
            2             | south  | true              | true           | true
            3             | south  | false             | false          | false
        """,
    )


@pytest.mark.parametrize(
    ("records", "has_known_dose"),
    [
        ("true | 30", "true"),
        ("true |", "false"),
        ("false | 30", "false"),
        ("true |\ntrue | 0", "true"),
        ("true |\nfalse | 30", "false"),
    ],
)
def test_a_dose_is_known_if_a_record_of_the_timeline_has_one(check_sql, records, has_known_dose):
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "trajectory.record_dose": drawn(f"is_in_timeline | dose_micro_mme\n-\n{records}", patient_index=1),
        },
        then=f"has_opioid_record | has_known_dose\n-\ntrue | {has_known_dose}",
    )


@pytest.mark.parametrize(("nrs", "has_pain_score"), [("0", "true"), ("", "false")])
def test_a_score_that_is_unknown_is_no_score(check_sql, nrs, has_pain_score):
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "trajectory.pain_day": drawn(f"patient_index | pain_nrs\n-\n1 | {nrs}", score_date="D+0", setting="icu"),
        },
        then=f"has_pain_score | has_outpatient_scores\n-\n{has_pain_score} | false",
    )


def test_three_windows_of_two_weeks_can_share_one_week(check_sql):
    """B1 ends on day -91 and B0 begins on day -90: five weeks can be two for each of B1, B0 and R."""
    days = [
        "1 | D+0\n1 | D+7\n1 | D+14\n1 | D+21\n1 | D+28",
        # Sunday and Monday are two weeks, Monday and Sunday one
        "2 | D-1\n2 | D+0\n2 | D+6\n2 | D+14\n2 | D+21\n2 | D+27",
    ]
    check_sql(
        TABLE,
        given={
            "clean.patient": "patient_index\n-\n1\n2",
            "trajectory.pain_day": drawn(
                "patient_index | score_date\n-\n" + "\n".join(days), pain_nrs=5, setting="outpatient", is_masked=True
            ),
        },
        then="patient_index | has_outpatient_scores\n-\n1 | true\n2 | false",
    )


@pytest.mark.parametrize(("weeks", "enough"), [(8, "true"), (7, "false")])
def test_the_scored_weeks_needed_are_a_setting(check_sql, weeks, enough):
    days = "\n".join(f"D+{7 * week}" for week in range(weeks))
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "trajectory.pain_day": drawn(
                f"score_date\n-\n{days}", patient_index=1, pain_nrs=5, setting="outpatient", is_masked=False
            ),
        },
        settings={"min_scored_weeks": 3},
        then=f"has_outpatient_scores\n-\n{enough}",
    )


@pytest.mark.parametrize("aside", [{"setting": "inpatient"}, {"pain_nrs": ""}], ids=["in hospital", "unknown"])
def test_only_known_outpatient_weeks_count(check_sql, aside):
    known = {"pain_nrs": 5, "setting": "outpatient", "patient_index": 1, "is_masked": False}
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "trajectory.pain_day": drawn("score_date\n-\nD+0\nD+7\nD+14\nD+21\nD+28", **(known | aside)),
        },
        then="has_outpatient_scores\n-\nfalse",
    )


@pytest.mark.parametrize(("settings", "enough"), [(["outpatient"], "false"), (["outpatient", "unknown"], "true")])
def test_weeks_of_an_unknown_setting_count_where_the_study_says_so(check_sql, settings, enough):
    known = {"pain_nrs": 5, "setting": "unknown", "patient_index": 1, "is_masked": False}
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "trajectory.pain_day": drawn("score_date\n-\nD+0\nD+7\nD+14\nD+21\nD+28", **known),
        },
        settings={"pain_settings": settings},
        then=f"has_outpatient_scores\n-\n{enough}",
    )


def test_therapy_is_long_term_if_one_run_is(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.patient": "patient_index\n-\n1\n2",
            "trajectory.therapy_run": drawn("patient_index | long_term_date\n-\n1 |\n1 | D+0\n2 |"),
        },
        then="patient_index | has_long_term_therapy\n-\n1 | true\n2 | false",
    )


def test_an_increase_that_failed_a_requirement_is_no_escalation(check_sql):
    check_sql(
        TABLE,
        given={
            "clean.patient": "patient_index\n-\n1\n2",
            "episode.escalation": "patient_index | failed_requirement\n-\n1 | rotation\n1 |\n2 | rotation",
        },
        then="patient_index | has_escalation\n-\n1 | true\n2 | false",
    )


EPISODE_FLAGS = (
    *("is_adult", "has_look_back", "is_in_scope", "has_no_long_stay", "has_no_unseen_care"),
    *("is_not_excluded", "has_follow_up", "is_classifiable"),
)


@pytest.mark.parametrize(
    ("episodes", "met"),
    [
        ("under_age |", 0),
        ("age_unknown |", 0),
        ("short_look_back |", 1),
        ("active_cancer |", 2),
        ("intrathecal_pump |", 2),
        ("long_inpatient_stay |", 3),
        ("long_term_care_without_supply |", 4),
        ("opioid_use_disorder_medication |", 5),
        ("| follow_up_too_short", 6),
        ("| therapy_ended", 6),
        ("| too_few_scores_distal", 7),
        ("| dose_unknown", 7),
        ("|", 8),
        # the episode that gets furthest counts
        ("under_age |\n| follow_up_too_short", 6),
        ("active_cancer |\n|", 8),
        # not the best of two episodes: one is excluded, the other not followed
        ("active_cancer |\n| follow_up_too_short", 6),
        ("active_cancer | follow_up_too_short", 2),
    ],
)
def test_an_episode_meets_the_requirements_up_to_the_first_it_fails(check_sql, episodes, met):
    rows = "\n".join(f"1 | {episode}" for episode in episodes.splitlines())
    flags = {name: number < met for number, name in enumerate(EPISODE_FLAGS)}
    check_sql(
        TABLE,
        given={
            "clean.patient": PATIENT,
            "episode.episode_change": drawn(
                f"patient_index | excluded_reason | not_classifiable_reason\n-\n{rows}", index_kind="dose_led"
            ),
        },
        then=drawn("patient_index\n-\n1", **flags),
    )
