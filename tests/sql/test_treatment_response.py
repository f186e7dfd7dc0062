"""Dose and pain around the first change of treatment after the response window."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.treatment_response"
EPISODE = drawn("episode_id\n-\na", patient_index=1, index_date="D+0", follow_up_end_date="D+400")


def drugs(*rows: str) -> str:
    return drawn("exposure_class | start_date | end_date\n-\n" + "\n".join(rows), patient_index=1, ingredient="any")


def scores(*rows: str, **values: object) -> str:
    same = {"patient_index": 1, "setting": "outpatient", "is_masked": False} | values
    return drawn("score_date | pain_nrs\n-\n" + "\n".join(rows), **same)


def supply(*rows: str) -> str:
    return drawn("start_date | end_date | dose_mme | is_lower_bound\n-\n" + "\n".join(rows), patient_index=1)


@pytest.fixture
def check(check_sql):
    def check(then: str, episode: str = EPISODE, **given: str) -> None:
        tables = {name.replace("__", "."): drawing for name, drawing in given.items()}
        check_sql(TABLE, given={"episode.episode": episode} | tables, then=drawn(then))

    return check


STARTED = drugs("buprenorphine | D+200 | D+300")


@pytest.mark.parametrize(
    ("drug", "treatment"),
    [
        ("buprenorphine", "opioid_rotation"),
        ("nmda_antagonist", "opioid_rotation"),
        ("gabapentinoid", "other_treatment"),
        ("snri", "other_treatment"),
        ("tca", "other_treatment"),
        ("low_dose_naltrexone", "other_treatment"),
        ("full_dose_naltrexone", ""),
        ("methadone", ""),  # it counts where it replaces another opioid
        ("ssri", ""),
    ],
)
def test_what_is_begun_is_a_rotation_or_other_treatment(check, drug, treatment):
    row = f"a | {treatment} | D+200 | 200" if treatment else ""
    check(
        f"episode_id | treatment | start_date | followed_days\n-\n{row}",
        trajectory__exposure_period=drugs(f"{drug} | D+200 | D+300"),
    )


@pytest.mark.parametrize(
    ("event", "ingredient", "is_there"),
    [
        ("rotation", "methadone", True),
        ("rotation", "methadone + oxycodone", True),
        ("rotation", "oxycodone", False),
        ("release_switch", "methadone", False),
    ],
)
def test_a_rotation_to_methadone_counts(check, event, ingredient, is_there):
    check(
        "treatment | start_date\n-\n" + ("opioid_rotation | D+100" if is_there else ""),
        trajectory__opioid_switch=drawn(
            f"event | ingredient_after | switch_date\n-\n{event} | {ingredient} | D+100", patient_index=1
        ),
    )


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (["D+90"], ""),
        (["D+91"], "D+91"),
        (["D+455"], "D+455"),
        (["D+456"], ""),
        (["D-80", "D+100"], ""),
        (["D-81", "D+100"], "D+100"),
    ],
)
def test_physical_therapy_counts_from_day_91_to_455_if_it_is_new(check, days, first):
    check(
        "treatment | start_date\n-\n" + (f"other_treatment | {first}" if first else ""),
        trajectory__concept_day=drawn("coded_date\n-\n" + "\n".join(days), patient_index=1, concept="physical_therapy"),
    )


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (["buprenorphine | D+90 | D+99"], ""),
        (["buprenorphine | D+91 | D+99"], "D+91"),
        (["buprenorphine | D+455 | D+499"], "D+455"),
        (["buprenorphine | D+456 | D+499"], ""),
        (["buprenorphine | D-300 | D+20", "buprenorphine | D+200 | D+250"], ""),
        (["buprenorphine | D-300 | D+19", "buprenorphine | D+200 | D+250"], "D+200"),
        (["nmda_antagonist | D-300 | D+20", "buprenorphine | D+200 | D+250"], "D+200"),
        (["nmda_antagonist | D+150 | D+160", "buprenorphine | D+120 | D+250"], "D+120"),
    ],
)
def test_the_first_start_in_the_confirmation_window_counts_if_its_class_is_new(check, rows, first):
    check(
        "start_date\n-\n" + first,
        trajectory__exposure_period=drugs(*rows),
    )


def test_both_kinds_of_treatment_have_a_row(check):
    check(
        "treatment | start_date\n-\nopioid_rotation | D+200\nother_treatment | D+220",
        trajectory__exposure_period=drugs("buprenorphine | D+200 | D+300", "tca | D+220 | D+300"),
    )


@pytest.mark.parametrize(
    ("day", "seen"),
    [
        ("D+109", ""),
        ("D+110", "before"),
        ("D+199", "before"),
        ("D+200", ""),
        ("D+229", ""),
        ("D+230", "soon"),
        ("D+259", "soon"),
        ("D+260", "soon switched"),
        ("D+290", "soon switched"),
        ("D+291", "late switched"),
        ("D+380", "late switched"),
        ("D+381", ""),
    ],
)
def test_pain_is_read_before_from_day_30_from_day_60_and_after_day_90(check, day, seen):
    names = ("before", "soon", "late", "switched")
    columns = " | ".join([f"{name}_nrs" for name in names] + [f"{name}_week_count" for name in names])
    values = ["4" if name in seen else "" for name in names] + ["1" if name in seen else "0" for name in names]
    check(
        f"{columns}\n-\n{' | '.join(values)}",
        trajectory__exposure_period=STARTED,
        trajectory__pain_day=scores(f"{day} | 4"),
    )


def test_pain_is_the_mean_of_weekly_medians(check):
    """D+231 is a Monday: of its week 2, 3 and 7 have the median 3, and the next week has 5."""
    check(
        "soon_nrs | soon_week_count\n-\n4 | 2",
        trajectory__exposure_period=STARTED,
        trajectory__pain_day=scores("D+231 | 2", "D+232 | 3", "D+233 | 7", "D+238 | 5", "D+239 |"),
    )


@pytest.mark.parametrize("values", [{"setting": "inpatient"}, {"is_masked": True}, {"patient_index": 2}])
def test_masked_scores_and_those_of_hospital_or_of_others_are_not_read(check, values):
    check(
        "soon_nrs | soon_week_count\n-\n| 0",
        trajectory__exposure_period=STARTED,
        trajectory__pain_day=scores("D+240 | 4", **values),
    )


@pytest.mark.parametrize(
    ("periods", "before", "after"),
    [
        (["D+0 | D+500 | 60 | false"], 60, 60),
        (["D+0 | D+199 | 60 | false", "D+200 | D+500 | 30 | false"], 60, 30),
        # days without supply are days of no dose
        (["D+155 | D+199 | 60 | false"], 30, 0),
        # what lies between is in neither
        (["D+0 | D+199 | 60 | false", "D+200 | D+259 | 99 | false", "D+260 | D+380 | 12 | false"], 60, 12),
        (["D+0 | D+259 | 60 | false", "D+381 | D+500 | 12 | false"], 60, 0),
        (["D+0 | D+199 | 60 | true", "D+200 | D+500 | 30 | false"], "", ""),
        (["D+0 | D+199 | 60 | false", "D+200 | D+259 | 30 | true", "D+260 | D+500 | 30 | false"], 60, 30),
    ],
)
def test_doses_are_means_over_all_days_before_and_from_day_60(check, periods, before, after):
    check(
        f"before_mme | after_mme\n-\n{before} | {after}",
        trajectory__exposure_period=STARTED,
        trajectory__dose_period=supply(*periods),
    )


def test_an_excluded_episode_and_another_patient_have_no_row(check):
    check(
        "episode_id\n-",
        drawn("episode_id\n-\na", patient_index=1, index_date="D+0", excluded_reason="under_age"),
        trajectory__exposure_period=STARTED,
    )
    check(
        "episode_id\n-",
        drawn("episode_id\n-\na", patient_index=2, index_date="D+0"),
        trajectory__exposure_period=STARTED,
    )
