"""Which tapers can be read, and what pain was to be expected to do without one."""

import pytest

from tests.sql.drawing import cases, drawn

TABLE = "episode.dechallenge_profile"
PATIENTS = "patient_index | source\n-\n" + "\n".join(f"{number} | north" for number in range(1, 10))


def tapered(drawing: str, **values: object) -> str:
    """Tapers from 60 MME by half, cut on day 120, that can be read, but for the columns drawn; others cut nothing."""
    for share in ("cut_share", "kept_cut_share"):
        drawing = with_share(drawing, share)
    header = {name.strip() for name in drawing.strip().splitlines()[0].split("|")}
    same = {
        "patient_index": 1,
        "first_cut_date": "D+120",
        "response_mme": 60,
        "is_taper": True,
        "is_observable": True,
        "before_nrs": 5,
        "before_week_count": 9,
        "after_week_count": 9,
        "change_nrs": -2,
    } | values
    return drawn(drawing, **{name: value for name, value in same.items() if name not in header})


def with_share(drawing: str, share: str) -> str:
    header, _, *rows = drawing.strip().splitlines()
    names = [name.strip() for name in header.split("|")]
    if share in names:
        return drawing
    is_taper = [row.split("|")[names.index("is_taper")].strip() if "is_taper" in names else "true" for row in rows]
    cut = [0.5 if said == "true" else 0 for said in is_taper]
    return "\n".join([f"{header} | {share}", "-", *(f"{row} | {value}" for row, value in zip(rows, cut, strict=True))])


def changes(ids: str = "abcdefghij", distal: str = "") -> str:
    """B1 of 5 and a year of therapy, but for what is drawn of single episodes."""
    other = dict(pair.split(":") for pair in distal.split())
    rows = "\n".join(f"{name} | {other.get(name, 5)}" for name in ids)
    return drawn(f"episode_id | distal_nrs\n-\n{rows}", prior_therapy_days=400)


@pytest.fixture
def check(check_sql):
    def check(
        drawing: str, then: str, distal: str = "", settings: dict[str, object] | None = None, patients: str = PATIENTS
    ):
        check_sql(
            TABLE,
            given={
                "episode.dechallenge": tapered(drawing),
                "episode.episode_change": changes(distal=distal),
                "clean.patient": patients,
            },
            settings=settings,
            then=then,
        )

    return check


def test_a_taper_that_cannot_be_read_says_why(check):
    given, then = cases(
        "is_taper | is_observable | cut_share | kept_cut_share | before_week_count | after_week_count",
        (
            ("true | true | 0.5 | 0.5 | 2 | 2", ""),
            ("true | true | 0.5 | 0.15 | 2 | 2", ""),
            ("true | true | 0.5 | 0.149 | 2 | 2", "dose_raised_again"),
            ("true | true | 0.5 | | 2 | 2", "dose_unknown"),
            ("false | true | | 0.5 | 9 | 9", "dose_unknown"),
            ("false | true | 0.2 | 0.2 | 9 | 9", "no_taper"),
            ("true | false | 0.5 | 0.5 | 9 | 9", "follow_up_too_short"),
            ("true | false | 0.5 | | 9 | 9", "follow_up_too_short"),
            ("true | true | 0.5 | 0.5 | 1 | 9", "too_few_scores_before_taper"),
            ("true | true | 0.5 | 0.5 | 9 | 1", "too_few_scores_after_taper"),
        ),
        "not_readable_reason",
    )
    check(given, then)


def test_the_standard_error_is_that_of_two_means_of_weeks(check):
    given, then = cases(
        "before_week_count | after_week_count",
        (("2 | 2", "2"), ("8 | 8", "1"), ("0 | 9", ""), ("0 | 0", "")),
        "change_se_nrs",
    )
    check(given, then, settings={"within_person_sd_nrs": 2.0})


HEAD = "episode_id | patient_index | is_taper | change_nrs"
SAID = "episode_id | expected_by | matched_count | expected_change_nrs | adjusted_change_nrs\n-\n"


def test_the_change_of_matched_patients_without_a_taper_is_subtracted(check):
    check(
        f"{HEAD}\n-\na | 1 | true | -1.4\nb | 2 | false | 0.2\nc | 3 | false | -1",
        f"{SAID}a | matched_untapered | 2 | -0.4 | -1\nb | | 0 | |\nc | | 0 | |",
    )


@pytest.mark.parametrize(
    ("column", "value", "matches"),
    [
        ("before_nrs", "6", True),
        ("before_nrs", "4", True),
        ("before_nrs", "6.01", False),
        ("before_nrs", "3.99", False),
        ("response_mme", "50", True),
        ("response_mme", "49.9", False),
        ("response_mme", "90", False),
        ("first_cut_date", "D+117", True),  # the first of May
        ("first_cut_date", "D+116", False),
        ("first_cut_date", "D+147", True),
        ("first_cut_date", "D+148", False),
    ],
)
def test_a_match_is_alike_in_pain_before_dose_band_and_calendar_month(check, column, value, matches):
    usual = {"before_nrs": "5", "response_mme": "60", "first_cut_date": "D+120"}[column]
    check(
        f"{HEAD} | {column}\n-\na | 1 | true | -2 | {usual}\nb | 2 | false | -1 | {value}",
        f"{SAID}a | {'matched_untapered | 1' if matches else 'all_untapered | 0'} | -1 | -1\nb | | 0 | |",
    )


@pytest.mark.parametrize(("distal", "count"), [("b:6", 1), ("b:6.01", 0), ("b:4", 1), ("b:3.99", 0)])
def test_a_match_is_alike_in_b1(check, distal, count):
    check(
        f"{HEAD}\n-\na | 1 | true | -2\nb | 2 | false | -1",
        f"episode_id | matched_count\n-\na | {count}\nb | 0",
        distal=distal,
    )


def test_without_a_match_all_without_a_taper_stand_in_and_without_them_nobody(check):
    far = "episode_id | patient_index | is_taper | change_nrs | before_nrs"
    check(
        f"{far}\n-\na | 1 | true | -2 | 5\nb | 2 | false | 0.2 | 9\nc | 3 | false | -1 | 9",
        f"{SAID}a | all_untapered | 0 | -0.4 | -1.6\nb | | 0 | |\nc | | 0 | |",
    )
    check(f"{HEAD}\n-\na | 1 | true | -2", f"{SAID}a | nobody | 0 | 0 | -2")


def test_nobody_is_matched_with_themselves_and_each_patient_counts_once(check):
    check(
        f"{HEAD}\n-\na | 1 | true | -2\nb | 1 | false | 5\nc | 2 | false | -1\nd | 2 | false | -1",
        "episode_id | matched_count | expected_change_nrs\n-\na | 1 | -1\nb | 0 |\nc | 0 |\nd | 0 |",
    )


def test_of_many_the_four_most_alike_are_taken(check):
    rows = "\n".join(f"{'abcdefg'[n - 1]} | {n} | false | {n} | {5 + n / 10}" for n in range(2, 8))
    check(
        f"{HEAD} | before_nrs\n-\na | 1 | true | -2 | 5\n{rows}",
        "episode_id | matched_count | expected_change_nrs\n-\na | 4 | 3.5\n"
        + "\n".join(f"{name} | 0 |" for name in "bcdefg"),
    )


def test_sources_are_not_matched_with_one_another(check):
    check(
        f"{HEAD}\n-\na | 1 | true | -2\nb | 2 | false | -1",
        "episode_id | matched_count\n-\na | 0\nb | 0",
        patients="patient_index | source\n-\n1 | north\n2 | south",
    )


def test_where_dates_are_shifted_the_calendar_says_nothing(check):
    check(
        f"{HEAD} | first_cut_date\n-\na | 1 | true | -2 | D+120\nb | 2 | false | -1 | D+900",
        "episode_id | matched_count\n-\na | 1\nb | 0",
        settings={"shifted_sources": ["north"]},
    )


def test_only_untapered_episodes_that_can_be_read_are_compared_with(check):
    check(
        """
        episode_id | patient_index | is_taper | is_observable | cut_share | before_week_count | after_week_count | change_nrs
        -----------+---------------+----------+---------------+-----------+-------------------+------------------+-----------
        a          | 1             | true     | true          | 0.5       | 9                 | 9                | -1
        b          | 2             | true     | true          | 0.5       | 9                 | 9                | -9
        c          | 3             | false    | false         | 0         | 9                 | 9                | -9
        d          | 4             | false    | true          |           | 9                 | 9                | -9
        e          | 5             | false    | true          | 0         | 1                 | 9                | -9
        f          | 6             | false    | true          | 0         | 9                 | 1                | -9
        """,
        "episode_id | expected_by\n-\na | nobody\nb | nobody\nc |\nd |\ne |\nf |",
    )


@pytest.mark.parametrize(
    ("cut", "kept", "is_compared"),
    [
        ("0.2", "0.249", True),
        ("0", "-0.5", True),
        # a taper that informs, in the days on which pain is read
        ("0.2", "0.25", False),
        # a dose that fell unseen, as after days of unknown dose
        ("0.25", "0", False),
        ("0", "", False),
    ],
)
def test_nobody_whose_dose_fell_as_in_a_taper_is_compared_with(check, cut, kept, is_compared):
    check(
        f"{HEAD} | cut_share | kept_cut_share\n-\na | 1 | true | -2 | 0.5 | 0.5\nb | 2 | false | -1 | {cut} | {kept}",
        f"episode_id | matched_count\n-\na | {int(is_compared)}\nb | 0",
    )


def test_a_taper_that_was_undone_makes_no_one_a_comparison(check_sql):
    """Of patient 2 the dose was tapered, raised again and cut a little: both tables, from the doses on."""
    doses = """
        patient_index | start_date | end_date | dose_mme
        -
        1             | D-100      | D+119    | 60
        1             | D+120      | D+900    | 30
        2             | D-100      | D+119    | 60
        2             | D+120      | D+159    | 30
        2             | D+160      | D+399    | 60
        2             | D+400      | D+900    | 54
    """
    days = "\n".join(f"{patient} | D+{day} | 5" for patient in (1, 2) for day in (50, 100, 150, 200, 320, 500))
    check_sql(
        "episode.dechallenge",
        TABLE,
        given={
            "episode.episode": drawn(
                "episode_id | patient_index\n-\na | 1\nb | 2", index_date="D+0", follow_up_end_date="D+900"
            ),
            "episode.window_dose": drawn("episode_id\n-\na\nb", mean_mme=60, window_name="R"),
            "trajectory.dose_period": drawn(doses, is_lower_bound=False),
            "trajectory.pain_day": drawn(
                f"patient_index | score_date | pain_nrs\n-\n{days}", setting="outpatient", is_masked=False
            ),
            "episode.episode_change": changes("ab"),
            "clean.patient": PATIENTS,
        },
        then=drawn(
            """
            episode_id | first_cut_date | not_readable_reason | expected_by
            -
            a          | D+120          |                     | nobody
            b          | D+120          | dose_raised_again   |
            """
        ),
    )


def test_scores_that_are_missing_match_nobody(check):
    check(
        f"{HEAD} | before_nrs | before_week_count\n-\na | 1 | true | | | 0\nb | 2 | false | -1 | 5 | 9",
        "episode_id | not_readable_reason | matched_count | adjusted_change_nrs\n-\n"
        "a | too_few_scores_before_taper | 0 |\nb | no_taper | 0 |",
    )
