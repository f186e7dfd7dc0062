"""What was known before an episode began: bands, conditions, drugs and function, each with its edges."""

import duckdb
import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "episode.subgroup"


@pytest.fixture
def category():
    def category(covariate: str, **given: str) -> str:
        """The category of one covariate in an episode of patient 1 at D."""
        profile = drawn("episode_id\n-\na", **({"patient_index": 1, "index_date": "D+0"} | given.pop("profile", {})))
        feeds = {"has_diagnoses": True, "has_adjuvants": True} | given.pop("feeds", {})
        rows = {
            "episode.episode_profile": profile,
            "clean.patient": drawn("sex\n-\nfemale", patient_index=1),
            "episode.delivered_feed": drawn("episode_id\n-\na", **feeds),
        } | {name.replace("__", "."): rows for name, rows in given.items()}
        connection: duckdb.DuckDBPyConnection = select(TABLE, given=rows)
        found = connection.execute(f"select category from {TABLE} where covariate = ?", [covariate]).fetchall()
        [[value]] = found
        return value

    return category


@pytest.mark.parametrize(
    ("dose", "band"),
    [
        ("", "unknown"),
        (19.999, "under 20 MME"),
        (20, "20 to 49 MME"),
        (49.999, "20 to 49 MME"),
        (50, "50 to 89 MME"),
        (89.999, "50 to 89 MME"),
        (90, "90 MME and over"),
    ],
)
def test_a_dose_is_in_the_band_that_begins_at_or_below_it(category, dose, band):
    assert category("dose_before", profile={"proximal_mme": dose}) == band


@pytest.mark.parametrize(
    ("covariate", "column", "value", "found"),
    [
        ("pain_before", "proximal_nrs", 3.99, "under 4"),
        ("pain_before", "proximal_nrs", 4, "4 to 6"),
        ("pain_before", "proximal_nrs", 7, "7 and over"),
        ("age", "age_years", 44, "under 45"),
        ("age", "age_years", 45, "45 to 64"),
        ("age", "age_years", 65, "65 and over"),
        ("therapy_before", "prior_therapy_days", 364, "under 1 year"),
        ("therapy_before", "prior_therapy_days", 365, "1 year"),
        ("therapy_before", "prior_therapy_days", 730, "2 years and over"),
        ("data_grade", "data_grade", "B", "B"),
        ("data_grade", "data_grade", "", "none"),
        ("sex", "age_years", 50, "female"),
    ],
)
def test_bands_begin_at_their_lower_edge(category, covariate, column, value, found):
    assert category(covariate, profile={column: value}) == found


@pytest.mark.parametrize(
    ("day", "found"), [("D-366", "not coded"), ("D-365", "coded"), ("D-1", "coded"), ("D+0", "not coded")]
)
def test_a_condition_is_coded_in_the_look_back(category, day, found):
    coded = drawn(f"coded_date\n-\n{day}", patient_index=1, concept="fibromyalgia")
    assert category("fibromyalgia", trajectory__concept_day=coded) == found


@pytest.mark.parametrize("covariate", ["fibromyalgia", "pain_regions"])
def test_without_diagnoses_no_condition_is_denied(category, covariate):
    assert category(covariate, feeds={"has_diagnoses": False}) == "not delivered"


@pytest.mark.parametrize(("regions", "found"), [([], "0"), (["neck"], "1"), (["neck", "head", "chest"], "3 and over")])
def test_regions_are_counted_once_each(category, regions, found):
    rows = "\n".join(f"D-{day} | {region}" for region in regions for day in (10, 20))
    given = drawn(f"coded_date | region\n-\n{rows}", patient_index=1) if regions else ""
    assert category("pain_regions", trajectory__pain_region_day=given) == found


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("D-200", "D-91", "not taken"),
        ("D-200", "D-90", "taken"),
        ("D-1", "D+30", "taken"),
        ("D+0", "D+30", "not taken"),
    ],
)
@pytest.mark.parametrize("drug", ["tca", "cyp2d6_inhibitor"])
def test_a_drug_is_taken_that_was_in_supply_in_the_quarter_before(category, drug, start, end, found):
    period = drawn(f"start_date | end_date\n-\n{start} | {end}", patient_index=1, exposure_class=drug)
    assert category(drug, trajectory__exposure_period=period) == found


def test_without_adjuvants_no_drug_is_denied(category):
    assert category("benzodiazepine", feeds={"has_adjuvants": False}) == "not delivered"


@pytest.mark.parametrize(
    ("score", "found"),
    [("3.9", "under 4"), ("4", "4 to 6"), ("7", "7 and over"), ("11", "not recorded")],
)
def test_function_is_the_last_peg_of_the_look_back(category, score, found):
    scores = drawn(f"scored_at | score\n-\nD-300 | {score}\nD+1 | 9", patient_index=1, instrument="PEG")
    assert category("function_peg", clean__pain_score=scores) == found


def test_an_excluded_episode_has_no_covariates(check_sql):
    given = {"episode.episode_profile": "episode_id | excluded_reason\n-\na | pregnancy"}
    check_sql(TABLE, given=given, then="episode_id\n-")


@pytest.mark.parametrize(
    ("column", "value", "covariate", "found"),
    [
        ("is_linked", True, "linked", "linked"),
        ("is_linked", False, "linked", "not linked"),
        ("is_reversed", True, "increase_kept", "taken back within 28 days"),
        ("is_reversed", False, "increase_kept", "kept for 28 days"),
    ],
)
def test_linked_episodes_and_increases_taken_back_are_strata(category, column, value, covariate, found):
    episode = drawn("episode_id\n-\na", index_kind="dose_led", **{column: value})
    assert category(covariate, episode__episode=episode) == found


def test_where_no_dose_was_raised_none_is_taken_back(check_sql):
    given = {"episode.episode": drawn("episode_id | index_kind\n-\na | pain_led\nb | sham_maintainer", is_linked=False)}
    check_sql(TABLE, given=given, then="episode_id | covariate\n-\na | linked\nb | linked")
