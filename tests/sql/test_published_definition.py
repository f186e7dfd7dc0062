"""Each published figure beside the paper's and beside a world without hyperalgesia."""

import pytest

from tests.conftest import select
from tests.sql.drawing import drawn

TABLE = "report.published_definition"
COHORTS = ("hayes", "morasco", "henry", "taper", "surgery")


@pytest.fixture
def check(check_sql):
    def check(then: str, figures: str, world: str = "", **cohorts: str) -> None:
        """Only the figures that are asked for stand in the reference table."""
        rows = drawn(figures, meaning="Said.", citation="Paper", published_low="", published_high="")
        given = {"reference.published_figure": rows, "reference.null_world_figure": world}
        given |= {f"episode.{name}_patient": cohorts.get(name, "") for name in COHORTS}
        check_sql(TABLE, given=given, then=then)

    return check


def figure(definition: str, name: str, unit: str) -> str:
    return f"definition | figure | figure_number | unit\n-\n{definition} | {name} | 1 | {unit}"


HAYES = """
    patient_index | group_name | before_nrs | first_nrs | later_nrs | failed_requirement
    -
    1             | escalator  | 4          | 5         | 6         |
    2             | escalator  | 6          | 7         | 6         |
    3             | maintainer | 5          | 4         | 3         |
    4             | maintainer | 5          | 5         | 5         |
    5             | escalator  | 0          | 9         | 9         | not_matched
"""


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("escalator_before_nrs", 5, 1),
        ("escalator_later_nrs", 6, 0),
        ("maintainer_first_nrs", 4.5, 0.5),
        # Up by 1 against down by half a point; the maintainers' changes are -1 and 0.
        ("first_difference_nrs", 1.5, 0.5),
        ("later_difference_nrs", 2, 1.414213562),
    ],
)
def test_hayes_compares_the_change_of_paired_escalators_and_maintainers(check, name, value, error):
    then = f"figure | patient_count | counted_patients | mean_value | standard_error\n-\n{name} | 2 | 2 | {value} | {error}"
    check(then, figure("hayes_2020", name, "NRS point"), hayes=HAYES)


MORASCO = """
    patient_index | escalation_date | rise_share | is_improved | failed_requirement
    -
    1             | 2021-01-01      | 0.5        | true        |
    2             | 2021-01-01      | 1.5        | false       |
    3             | 2021-01-01      | 1          |             |
    4             |                 |            |             |
    5             | 2021-01-01      | 9          | true        | follow_up_too_short
"""


@pytest.mark.parametrize(
    ("name", "patients", "counted", "value"),
    [("escalated_share", 4, 3, 0.75), ("improved_share", 2, 1, 0.5)],
)
def test_a_share_is_of_those_who_could_have_been_counted(check, name, patients, counted, value):
    then = "patient_count | counted_patients | figure_value | mean_value\n-\n" + f"{patients} | {counted} | {value} |"
    check(then, figure("morasco_2020", name, "share"), morasco=MORASCO)


def test_the_mean_rise_is_of_those_whose_dose_rose(check):
    then = "patient_count | mean_value | standard_error\n-\n3 | 1 | 0.288675135"
    check(then, figure("morasco_2020", "rise_ratio", "ratio"), morasco=MORASCO)


def test_henry_tapers_and_surgery_are_counted(check):
    cohort = "patient_index | {0} | failed_requirement\n-\n1 | true |\n2 | false |\n3 | true | follow_up_too_short"
    then = "patient_count | counted_patients\n-\n2 | 1"
    check(then, figure("henry_2015", "escalated_share", "share"), henry=cohort.format("is_escalated"))
    check(then, figure("fenton_2019", "tapered_share", "share"), taper=cohort.format("is_tapered"))
    check(then, figure("new_persistent_use", "persistent_share", "share"), surgery=cohort.format("is_persistent"))


def test_fast_tapers_are_a_share_of_tapers(check):
    cohort = "patient_index | is_tapered | is_fast\n-\n1 | true | true\n2 | true | false\n3 | false | false"
    then = "patient_count | counted_patients\n-\n2 | 1"
    check(then, figure("fenton_2019", "fast_share", "share"), taper=cohort)


def test_a_figure_of_nobody_is_unknown_and_stands_beside_the_world_without_hyperalgesia(check):
    world = (
        "definition | figure | mean_value | sd_value | seed_count\n-\nhayes_2020 | later_difference_nrs | 0.3 | 0.1 | 5"
    )
    then = """
        patient_count | counted_patients | figure_value | null_world_mean | null_world_sd | null_world_seeds
        -
        0             | 0                |              | 0.3             | 0.1           | 5
    """
    check(then, figure("hayes_2020", "later_difference_nrs", "NRS point"), world=world)


def test_the_report_measures_every_figure_that_is_published_and_was_measured_in_the_world_without_hyperalgesia():
    """Names meet in three places: what papers print, what the report computes, and what simulated worlds gave."""
    cohorts = {
        "hayes": HAYES,
        "morasco": MORASCO,
        "henry": "patient_index | is_escalated\n-\n1 | true",
        "taper": "patient_index | is_tapered | is_fast\n-\n1 | true | true",
        "surgery": "patient_index | is_persistent\n-\n1 | true",
    }
    connection = select(TABLE, given={f"episode.{name}_patient": drawing for name, drawing in cohorts.items()})
    missing = "figure_value is null or null_world_mean is null or null_world_sd is null"
    assert connection.sql(f"select definition, figure from {TABLE} where {missing}").fetchall() == []
    published = connection.sql("select count(*) from reference.published_figure").fetchall()
    assert connection.sql(f"select count(*) from {TABLE}").fetchall() == published
