"""What pain was to be expected to do: maintainers like the patient, or a regression where nobody is."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.expected_change"


def changes(drawing: str, **values: object) -> str:
    """Episodes that can be judged, at 60 MME, with B1 = B0 = 5 and no change."""
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "index_date": "D+0",
        "proximal_mme": 60,
        "distal_nrs": 5,
        "proximal_nrs": 5,
        "baseline_change_nrs": 0,
        "distal_change_nrs": 0,
        "proximal_change_nrs": 0,
        "prior_therapy_days": 400,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


def patients(*sources: str) -> str:
    return "patient_index | source\n-\n" + "\n".join(f"{n} | {source}" for n, source in enumerate(sources, start=1))


@pytest.fixture
def check(check_sql):
    def check(maintainer: str, then: str, column: str = "", **settings: object):
        """One case, a, of patient 1, and maintainers that differ from it in one column."""
        usual = {
            "index_date": "D+0",
            "proximal_mme": "60",
            "distal_nrs": "5",
            "proximal_nrs": "5",
            "excluded_reason": "",
            "not_classifiable_reason": "",
            "prior_therapy_days": "400",
            "source": "",
        }.get(column, "")
        head = "episode_id | patient_index | index_kind | distal_change_nrs"
        case = f"a | 1 | dose_led | 3 {'| ' + usual if column and column != 'source' else ''}"
        extra = f" | {column}" if column and column != "source" else ""
        check_sql(
            TABLE,
            given={
                "episode.episode_change": changes(f"{head}{extra}\n-\n{case}\n{maintainer}"),
                "clean.patient": patients(*["north"] * 9),
            },
            settings=settings,
            then=then,
        )

    return check


MATCHED = "episode_id | expected_by | matched_count | expected_change_nrs\n-\n"


def only_case(row: str, *maintainers: str) -> str:
    return MATCHED + "\n".join([row, *maintainers])


def test_the_expected_change_is_the_mean_of_the_matched_maintainers(check):
    check(
        "m | 2 | sham_maintainer | -1\nn | 3 | sham_maintainer | 0",
        only_case(
            "a | matched_maintainers | 2 | -0.5",
            "m | matched_maintainers | 1 | 0",
            "n | matched_maintainers | 1 | -1",
        ),
    )


def test_nobody_is_matched_with_themselves(check):
    check("m | 1 | sham_maintainer | -1", only_case("a | regression | 0 | 0", "m | regression | 0 | 0"))


def test_one_maintainer_counts_once_whatever_its_dates(check):
    check(
        "m | 2 | sham_maintainer | -1\nn | 2 | sham_maintainer | -1",
        only_case("a | matched_maintainers | 1 | -1", "m | regression | 0 | 0", "n | regression | 0 | 0"),
    )


def test_escalations_are_no_maintainers(check):
    check("m | 2 | dose_led | -1", only_case("a | regression | 0 | 0", "m | regression | 0 | 0"))


@pytest.mark.parametrize(
    ("column", "value", "matches"),
    [
        ("distal_nrs", "6", True),
        ("distal_nrs", "4", True),
        ("distal_nrs", "6.01", False),
        ("distal_nrs", "3.99", False),
        ("proximal_nrs", "6", True),
        ("proximal_nrs", "6.01", False),
        ("proximal_mme", "50", True),
        ("proximal_mme", "49.9", False),
        ("proximal_mme", "90", False),
        ("index_date", "D-3", True),  # the first of the month
        ("index_date", "D-4", False),
        ("index_date", "D+27", True),
        ("index_date", "D+28", False),
        ("excluded_reason", "under_age", False),
        ("not_classifiable_reason", "dose_unknown", False),
    ],
)
def test_a_maintainer_is_alike_in_pain_dose_band_and_calendar_month(check, column, value, matches):
    check(
        f"m | 2 | sham_maintainer | -1 | {value}",
        only_case(
            f"a | {'matched_maintainers | 1 | -1' if matches else 'regression | 0 | 0'}",
            "m | regression | 0 | 0",
        ),
        column=column,
    )


def test_of_many_the_four_most_alike_are_taken(check):
    near = "\n".join(f"m{n} | {n} | sham_maintainer | {n} | {5 + n / 10}" for n in range(2, 8))
    check(
        near,
        "episode_id | matched_count | expected_change_nrs\n-\n"
        + "a | 4 | 3.5\nm2 | 4 | 4.5\nm3 | 4 | 4.25\nm4 | 4 | 4\nm5 | 4 | 5\nm6 | 4 | 4.75\nm7 | 4 | 4.5",
        column="distal_nrs",
    )


def test_the_many_dates_of_one_maintainer_crowd_nobody_out(check):
    check(
        """m1 | 2 | sham_maintainer | 1 | 5
           m2 | 2 | sham_maintainer | 2 | 5
           m3 | 2 | sham_maintainer | 4 | 5
           m4 | 2 | sham_maintainer | 5 | 5
           m5 | 2 | sham_maintainer | 6 | 5
           n  | 3 | sham_maintainer | 0 | 6""",
        only_case(
            "a | matched_maintainers | 2 | 0.5",
            *(f"m{number} | matched_maintainers | 1 | 0" for number in range(1, 6)),
            "n | matched_maintainers | 1 | 1",
        ),
        column="distal_nrs",
    )


def test_a_region_of_coded_pain_weighs_as_much_as_a_point_of_pain(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                """
                episode_id | patient_index | index_kind      | distal_change_nrs | distal_nrs
                -----------+---------------+-----------------+-------------------+-----------
                a          | 1             | dose_led        | 3                 | 5
                same       | 2             | sham_maintainer | -1                | 5.9
                other      | 3             | sham_maintainer | 1                 | 5
                untold     | 4             | sham_maintainer | 2                 | 5.95
                """
            ),
            "episode.covariate": "episode_id | region_count\n-\na | 2\nsame | 2\nother | 3\nuntold |",
            "clean.patient": patients(*["north"] * 9),
        },
        settings={"match_count": 2},
        then="episode_id | expected_change_nrs\n-\na | 0.5\nsame | 1.5\nother | 0.5\nuntold | 0",
    )


def test_where_dates_are_shifted_the_calendar_says_nothing(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                """
                episode_id | patient_index | index_kind      | index_date | distal_change_nrs
                -----------+---------------+-----------------+------------+------------------
                a          | 1             | dose_led        | D+0        | 0
                m          | 2             | sham_maintainer | D+900      | -1
                """
            ),
            "clean.patient": patients("north", "north"),
        },
        settings={"shifted_sources": ["north"]},
        then="episode_id | matched_count\n-\na | 1\nm | 0",
    )


def test_sources_are_not_matched_with_one_another(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                "episode_id | patient_index | index_kind\n-\na | 1 | dose_led\nm | 2 | sham_maintainer"
            ),
            "clean.patient": patients("north", "south"),
        },
        then="episode_id | matched_count\n-\na | 0\nm | 0",
    )


def test_without_a_match_0_47_of_what_b0_was_above_b1_is_expected_to_remain(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                "episode_id | patient_index | index_kind\n-\na | 1 | dose_led", baseline_change_nrs=2
            ),
            "clean.patient": patients("north"),
        },
        then="expected_by | expected_change_nrs | regression_slope\n-\nregression | 0.94 | 0.47",
    )


def test_enough_maintainers_give_the_cohorts_own_slope(check_sql):
    """Of maintainers with B0 - B1 of 0, 2 and 4, R - B1 is 1, 1.5 and 2: a quarter point for a point."""
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                """
                episode_id | patient_index | index_kind      | baseline_change_nrs | distal_change_nrs | distal_nrs
                -----------+---------------+-----------------+---------------------+-------------------+-----------
                a          | 1             | dose_led        | 2                   | 3                 | 0
                m          | 2             | sham_maintainer | 0                   | 1                 | 4
                n          | 3             | sham_maintainer | 2                   | 1.5               | 7
                o          | 4             | sham_maintainer | 4                   | 2                 | 10
                """
            ),
            "clean.patient": patients("north", "north", "north", "north"),
        },
        settings={"rtm_min_maintainers": 3},
        then="""
            episode_id | expected_change_nrs | regression_slope
            -----------+---------------------+-----------------
            a          | 0.5                 | 0.25
            m          | 0                   | 0.25
            n          | 0.5                 | 0.25
            o          | 1                   | 0.25
        """,
    )


SAID_ERROR = "episode_id | expected_by | expected_change_se_nrs\n-\n"


def test_the_error_of_a_matched_change_is_the_spread_in_matched_sets_over_the_root_of_their_number(check):
    """Only a has two: -1 and 0, an SD of 0.707. It serves those with one match, too."""
    check(
        "m | 2 | sham_maintainer | -1\nn | 3 | sham_maintainer | 0",
        SAID_ERROR
        + "a | matched_maintainers | 0.5\nm | matched_maintainers | 0.707106781\nn | matched_maintainers | 0.707106781",
    )


def test_the_spread_is_pooled_over_all_matched_sets(check):
    """Of m, n and o at -1, 0 and 2: a has all three, each of them the other two. (14/3 + 2 + 4.5 + 0.5) / (2 + 1 + 1 + 1)."""
    check(
        "m | 2 | sham_maintainer | -1\nn | 3 | sham_maintainer | 0\no | 4 | sham_maintainer | 2",
        SAID_ERROR
        + f"a | matched_maintainers | {round((35 / 3 / 5 / 3) ** 0.5, 9)}\n"
        + "\n".join(f"{name} | matched_maintainers | {round((35 / 3 / 5 / 2) ** 0.5, 9)}" for name in "mno"),
    )


def test_where_no_set_has_two_maintainers_the_error_is_not_known(check):
    check(
        "m | 2 | sham_maintainer | -1",
        SAID_ERROR + "a | matched_maintainers |\nm | regression |",
    )


def test_the_error_of_the_cohorts_slope_grows_with_b0_less_b1_and_that_of_the_settings_is_not_known(check_sql):
    """R - B1 of 1, 2, 1 at B0 - B1 of 0, 2, 4: slope 0, residuals of 2/3 in all, 1 degree of freedom, spread 8."""
    rows = """
        episode_id | patient_index | index_kind      | baseline_change_nrs | distal_change_nrs | distal_nrs
        -----------+---------------+-----------------+---------------------+-------------------+-----------
        a          | 1             | dose_led        | -3                  | 3                 | 0
        b          | 1             | dose_led        | 0                   | 3                 | 0
        m          | 2             | sham_maintainer | 0                   | 1                 | 4
        n          | 3             | sham_maintainer | 2                   | 2                 | 7
        o          | 4             | sham_maintainer | 4                   | 1                 | 10
    """
    for fewest, of_slope in ((3, (2 / 3 / 1 / 8) ** 0.5), (4, None)):
        errors = {
            name: "" if of_slope is None else round(of_slope * change, 9)
            for name, change in zip("abmno", (3, 0, 0, 2, 4), strict=True)
        }
        check_sql(
            TABLE,
            given={"episode.episode_change": changes(rows), "clean.patient": patients(*["north"] * 4)},
            settings={"rtm_min_maintainers": fewest},
            then=SAID_ERROR + "\n".join(f"{name} | regression | {error}" for name, error in errors.items()),
        )


def test_the_error_of_the_adjusted_change_holds_both_as_far_as_they_are_known(check_sql):
    check_sql(
        "episode.episode_profile",
        given={
            "episode.episode_change": drawn(
                "episode_id | change_se_nrs\n-\na | 0.3\nb | 0.3\nc | 0.3\nd |", distal_change_nrs=1
            ),
            "episode.expected_change": drawn(
                "episode_id | expected_change_se_nrs\n-\na | 0.4\nb |\nd | 0.4", expected_change_nrs=0
            ),
        },
        then="episode_id | expected_change_se_nrs | adjusted_change_se_nrs\n-\na | 0.4 | 0.5\nb | | 0.3\nc | | 0.3\nd | 0.4 |",
    )


def test_an_episode_without_scores_in_every_window_has_no_expectation(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode_change": changes(
                "episode_id | patient_index | index_kind | distal_change_nrs\n-\na | 1 | dose_led |"
            ),
            "clean.patient": patients("north"),
        },
        then="episode_id | matched_count\n-",
    )
