"""What the classifier may know: which episodes, which values, and nothing dated after day 90."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "episode.feature"


def profile(drawing: str = "episode_id\n-\na", **values: object) -> str:
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "patient_index": 1,
        "index_kind": "dose_led",
        "index_date": "D+0",
        "step_count": 3,
        "known_step_count": 1,
        "response_mme": 80,
        "proximal_mme": 40,
        "response_to_distal_ratio": 4,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


def test_only_episodes_that_can_be_judged_have_features(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": profile(
                """
                episode_id | excluded_reason | not_classifiable_reason
                -----------+-----------------+------------------------
                a          |                 |
                b          | under_age       |
                c          |                 | dose_unknown
                """
            )
        },
        then="episode_id | patient_index\n-\na | 1",
    )


def test_features_are_doublings_of_the_dose_and_the_changes_of_pain(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": profile(
                prior_therapy_days=200,
                distal_nrs=4,
                proximal_nrs=5,
                early_change_nrs=-1,
                proximal_change_nrs=2,
                distal_change_nrs=3,
                baseline_change_nrs=1,
                distal_sd_nrs=1.1,
                response_sd_nrs=1.4,
            )
        },
        then=drawn(
            "log2_dose_ratio_distal | log2_dose_ratio_proximal | response_mme\n-\n2 | 1 | 80",
            step_count=1,
            prior_therapy_days=200,
            distal_nrs=4,
            proximal_nrs=5,
            early_change_nrs=-1,
            proximal_change_nrs=2,
            adjusted_change_nrs=2.53,
            distal_sd_nrs=1.1,
            response_sd_nrs=1.4,
            new_code_count=0,
        ),
    )


@pytest.mark.parametrize("dose", ["0", ""])
def test_no_dose_in_b0_leaves_its_doublings_unknown(check_sql, dose):
    check_sql(
        TABLE,
        given={"episode.episode_change": profile(proximal_mme=dose)},
        then="episode_id | log2_dose_ratio_proximal\n-\na |",
    )


def new_codes(drawing: str, **same: object) -> float:
    """The new codes of episode a, given diagnoses of its patient."""
    header = [name.strip() for name in drawing.splitlines()[0].split("|")]
    diagnosis = {"patient_index": 1, "code_system": "ICD10CM", "code": "M545"} | same
    undrawn = {name: value for name, value in diagnosis.items() if name not in header}
    connection = select(
        TABLE, given={"episode.episode_change": profile(), "clean.diagnosis": drawn(drawing, **undrawn)}
    )
    [[count]] = connection.sql(f"select new_code_count from {TABLE}").fetchall()
    return count


@pytest.mark.parametrize(("day", "count"), [("D-31", 0), ("D-30", 1), ("D+90", 1), ("D+91", 0)])
def test_a_code_is_new_from_day_minus_30_to_day_90(day, count):
    assert new_codes(f"diagnosis_date\n-\n{day}") == count


@pytest.mark.parametrize(("day", "count"), [("D-31", 0), ("D-365", 0), ("D-366", 1)])
def test_a_code_that_the_look_back_had_is_not_new(day, count):
    assert new_codes(f"diagnosis_date\n-\n{day}\nD+10") == count


def test_codes_count_by_category_of_three_characters_within_a_code_system():
    assert new_codes("code | diagnosis_date\n-\nM545 | D+10\nM5450 | D+20\nM542 | D+10\nM250 | D+10") == 2
    assert new_codes("code | diagnosis_date\n-\nM542 | D-100\nM545 | D+10") == 0
    assert new_codes("code_system | code | diagnosis_date\n-\nICD9CM | E8809 | D-100\nICD10CM | E880 | D+10") == 1


def test_another_patients_codes_are_not_counted():
    assert new_codes("diagnosis_date\n-\nD+10", patient_index=2) == 0
