"""What was known before an episode began: bands, conditions, drugs and function, each with its edges."""

import duckdb
import pytest
import yaml

from pipelines import paths
from tests.conftest import CONTRACTS, select
from tests.sql.drawing import drawn

TABLE = "episode.subgroup"
FLAGS = [column.name for column in CONTRACTS["episode.covariate"].columns if column.name.startswith("has_")]
DRUGS = {
    *("benzodiazepine", "sleep_drug", "gabapentinoid", "antidepressant", "muscle_relaxant", "cyp3a4_inducer"),
    *("cyp3a4_inhibitor", "cyp2d6_inhibitor_of_prodrug"),
}


def subgroups(**columns: object) -> dict[str, str]:
    """Covariates and categories of one episode, with these columns of the change and the covariates."""
    of_change = CONTRACTS["episode.episode_change"].types
    change = {name: value for name, value in columns.items() if name in of_change}
    covariate = {name: value for name, value in columns.items() if name not in of_change}
    connection: duckdb.DuckDBPyConnection = select(
        TABLE,
        given={
            "episode.episode_change": drawn("episode_id\n-\na", patient_index=1, **change),
            "episode.covariate": drawn("episode_id\n-\na", patient_index=1, **covariate),
            "clean.patient": drawn("sex\n-\nfemale", patient_index=1),
        },
    )
    return dict(connection.execute(f"select covariate, category from {TABLE}").fetchall())


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
def test_a_dose_is_in_the_band_that_begins_at_or_below_it(dose, band):
    assert subgroups(proximal_mme=dose)["dose_before"] == band


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
        ("pain_regions", "region_count", 0, "0"),
        ("pain_regions", "region_count", 2, "2"),
        ("pain_regions", "region_count", 3, "3 and over"),
        ("pain_regions", "region_count", "", "not delivered"),
        ("function_peg", "proximal_peg", 3.99, "under 4"),
        ("function_peg", "proximal_peg", 4, "4 to 6"),
        ("function_peg", "proximal_peg", 7, "7 and over"),
        ("function_peg", "proximal_peg", "", "not recorded"),
        ("time_before", "is_left_truncated", True, "not seen in full"),
        ("time_before", "is_left_truncated", False, "seen in full"),
        ("time_before", "is_left_truncated", "", "unknown"),
    ],
)
def test_bands_begin_at_their_lower_edge(covariate, column, value, found):
    assert subgroups(**{column: value})[covariate] == found


def test_every_condition_and_drug_of_the_covariates_is_a_subgroup_of_its_own_and_has_words():
    """Each episode has one of them, after which it is called."""
    rows = [[flag[4:], *(str(flag == other).lower() for other in FLAGS)] for flag in FLAGS]
    flags = f"episode_id | {' | '.join(FLAGS)}\n-\n" + "\n".join(" | ".join(row) for row in rows)
    episodes = "episode_id\n-\n" + "\n".join(row[0] for row in rows)
    connection = select(
        TABLE,
        given={
            "episode.episode_change": drawn(episodes, patient_index=1),
            "episode.covariate": drawn(flags, patient_index=1),
            "episode.episode": drawn(episodes, patient_index=1, index_kind="dose_led"),
            "clean.patient": "patient_index\n-\n1",
        },
    )
    found = connection.sql(f"from {TABLE} where category in ('coded', 'taken')").fetchall()
    expected = [(flag[4:], flag[4:], "taken" if flag[4:] in DRUGS else "coded") for flag in FLAGS]
    assert sorted(found) == sorted(expected)
    words = yaml.safe_load((paths.REPORTS / "words.yaml").read_text())["covariate"]
    assert {name for (name,) in connection.sql(f"select covariate from {TABLE}").fetchall()} == set(words)


def test_without_the_feed_nothing_is_denied():
    found = subgroups()
    assert {found[flag[4:]] for flag in FLAGS} == {"not delivered"}


def test_an_excluded_episode_has_no_covariates(check_sql):
    given = {
        "episode.episode_change": "episode_id | excluded_reason\n-\na | pregnancy",
        "episode.covariate": "episode_id\n-\na",
    }
    check_sql(TABLE, given=given, then="episode_id\n-")


@pytest.mark.parametrize(
    ("is_linked", "is_reversed", "linked", "increase"),
    [
        (True, False, "linked", "kept for 28 days"),
        (False, True, "not linked", "taken back within 28 days"),
    ],
)
def test_linked_episodes_and_increases_taken_back_are_strata(check_sql, is_linked, is_reversed, linked, increase):
    episode = drawn("episode_id\n-\na", index_kind="dose_led", is_linked=is_linked, is_reversed=is_reversed)
    then = f"covariate | category\n-\nlinked | {linked}\nincrease_kept | {increase}"
    check_sql(TABLE, given={"episode.episode": episode}, then=then)


def test_where_no_dose_was_raised_none_is_taken_back(check_sql):
    given = {"episode.episode": drawn("episode_id | index_kind\n-\na | pain_led\nb | sham_maintainer", is_linked=False)}
    check_sql(TABLE, given=given, then="episode_id | covariate\n-\na | linked\nb | linked")
