"""Dose cuts after an episode: which count, how large they are, and which pain is read around them."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.dechallenge"

RESPONSE = drawn("mean_mme\n-\n60", episode_id="a", patient_index=1, window_name="R")


def episode(**values: object) -> str:
    same = {"patient_index": 1, "index_date": "D+0", "follow_up_end_date": "D+900"} | values
    return drawn("episode_id\n-\na", **{name: value for name, value in same.items() if value is not None})


def periods(drawing: str) -> str:
    """Runs of equal dose of patient 1, from a start to an end."""
    if "start_date" not in drawing:
        drawing = f"start_date | end_date | dose_mme\n-\n{drawing}"
    same = {} if "is_lower_bound" in drawing else {"is_lower_bound": False}
    return drawn(drawing, patient_index=1, **same)


def cut_on(day: int, dose: float = 30) -> str:
    return periods(f"D-100 | D+{day - 1} | 60\nD+{day} | D+900 | {dose}")


@pytest.fixture
def check(check_sql):
    def check(then: str, period: str, pain: str = "", **values: object) -> None:
        given = {
            "episode.episode": episode(**values),
            "episode.window_dose": RESPONSE,
            "trajectory.dose_period": period,
            "trajectory.pain_day": pain,
        }
        check_sql(TABLE, given=given, then=drawn(then))

    return check


@pytest.mark.parametrize(
    ("period", "share", "is_taper"),
    [
        (cut_on(120, 45), 0.25, "true"),
        (cut_on(120, 45.001), 0.24998333333, "false"),
        (cut_on(120, 0), 1, "true"),
    ],
)
def test_a_taper_cuts_at_least_a_quarter_of_the_response_dose(check, period, share, is_taper):
    check(f"first_cut_date | last_cut_date | cut_share | is_taper\n-\nD+120 | D+120 | {share} | {is_taper}", period)


def test_a_quarter_is_a_quarter_in_binary_too(check_sql):
    """1 - 7.65 / 10.2 is a hair below 0.25 in binary."""
    check_sql(
        TABLE,
        given={
            "episode.episode": episode(),
            "episode.window_dose": RESPONSE.replace("60", "10.2"),
            "trajectory.dose_period": periods("D-100 | D+119 | 10.2\nD+120 | D+900 | 7.65"),
        },
        then="cut_share | is_taper\n-\n0.25 | true",
    )


@pytest.mark.parametrize(("day", "is_taper"), [(90, "false"), (91, "true"), (455, "true"), (456, "false")])
def test_cuts_count_from_day_91_to_day_455(check, day, is_taper):
    check(f"episode_id | is_taper\n-\na | {is_taper}", cut_on(day))


def test_first_and_last_cut_date_the_taper(check):
    check(
        "first_cut_date | last_cut_date | after_cut_mme | is_taper\n-\nD+120 | D+176 | 15 | true",
        periods("D-100 | D+119 | 60\nD+120 | D+147 | 45\nD+148 | D+175 | 30\nD+176 | D+900 | 15"),
    )


def test_without_a_cut_the_middle_of_the_confirmation_window_stands_in(check):
    check(
        "first_cut_date | last_cut_date | cut_share | is_taper\n-\nD+273 | D+273 | 0 | false",
        periods("D-100 | D+900 | 60"),
    )


@pytest.mark.parametrize(("dose", "date"), [(57, "D+120"), (57.001, "D+273")])
def test_a_fall_of_less_than_5_percent_of_the_response_dose_is_no_cut(check, dose, date):
    check(f"first_cut_date\n-\n{date}", cut_on(120, dose))


def test_a_fall_of_5_percent_is_a_cut_in_binary_too(check_sql):
    """0.95 times 48 is a hair below 45.6 in binary."""
    check_sql(
        TABLE,
        given={
            "episode.episode": episode(),
            "episode.window_dose": drawn("mean_mme\n-\n48", episode_id="a", patient_index=1, window_name="R"),
            "trajectory.dose_period": periods("D-100 | D+119 | 48\nD+120 | D+900 | 45.6"),
        },
        then=drawn("first_cut_date\n-\nD+120"),
    )


@pytest.mark.parametrize(
    ("gap", "first_cut"),
    [
        # a late refill at a lower dose
        (1, "D+121"),
        (30, "D+150"),
        # therapy ended; what begins again is no cut
        (31, "D+120"),
    ],
)
def test_a_lower_dose_after_a_bridged_gap_is_a_cut_when_it_begins(check, gap, first_cut):
    check(
        f"first_cut_date | last_cut_date\n-\n{first_cut} | {first_cut}",
        periods(f"D-100 | D+119 | 60\nD+{120 + gap} | D+900 | 30"),
    )


def test_the_same_dose_after_a_bridged_gap_is_no_cut(check):
    check("first_cut_date | is_taper\n-\nD+273 | false", periods("D-100 | D+119 | 60\nD+130 | D+900 | 60"))


def test_supply_that_ends_is_a_cut_to_nothing(check):
    check(
        "first_cut_date | after_cut_mme | cut_share | is_taper\n-\nD+120 | 0 | 1 | true", periods("D-100 | D+119 | 60")
    )


@pytest.mark.parametrize(("end", "is_taper"), [("D+150", "true"), ("D+149", "false")])
def test_supply_has_ended_once_the_gap_is_longer_than_a_bridged_one(check, end, is_taper):
    """Of supply up to day 119, day 150 is the 31st day without."""
    check(f"episode_id | is_taper\n-\na | {is_taper}", periods("D-100 | D+119 | 60"), follow_up_end_date=end)


def test_the_end_of_the_record_does_not_move_the_last_cut(check):
    check(
        "last_cut_date | is_observable\n-\nD+120 | true",
        periods("D-100 | D+119 | 60\nD+120 | D+397 | 30"),
        follow_up_end_date="D+400",
    )


def test_a_cut_after_follow_up_is_not_seen(check):
    check("first_cut_date | is_taper\n-\nD+120 | true", cut_on(120), follow_up_end_date="D+120")
    check("first_cut_date | is_taper\n-\nD+273 | false", cut_on(120), follow_up_end_date="D+119")


def test_a_fall_that_takes_back_a_rise_of_at_most_30_days_is_no_cut(check):
    """The overlap of an early refill, or an acute course."""
    check(
        "first_cut_date | last_cut_date\n-\nD+120 | D+120",
        periods("D-100 | D+119 | 60\nD+120 | D+199 | 30\nD+200 | D+229 | 55\nD+230 | D+900 | 30"),
    )


# One taper: cuts until the dose is raised again


TAPER = "first_cut_date | last_cut_date | after_cut_mme | cut_share | is_taper\n-\n"


@pytest.mark.parametrize(
    ("raised", "last_cut"),
    [
        # for 30 days: the cut after it is of the same taper
        ("D+200 | D+229 | 55\nD+230", "D+230"),
        # for longer: another taper has begun
        ("D+200 | D+230 | 55\nD+231", "D+120"),
        # of 5 percent of the new dose, and of less: a new strength or package size
        ("D+200 | D+299 | 31.6\nD+300", "D+120"),
        ("D+200 | D+299 | 31.5\nD+300", "D+300"),
        # in two steps, of which the first is short
        ("D+200 | D+209 | 40\nD+210 | D+299 | 50\nD+300", "D+120"),
        # after an overlap, and after a gap
        ("D+200 | D+203 | 90\nD+204 | D+299 | 60\nD+300", "D+120"),
        ("D+205 | D+299 | 60\nD+300", "D+120"),
    ],
)
def test_a_taper_ends_when_the_dose_is_raised_for_more_than_30_days(check, raised, last_cut):
    check(
        f"first_cut_date | last_cut_date | is_taper\n-\nD+120 | {last_cut} | true",
        periods(f"D-100 | D+119 | 60\nD+120 | D+199 | 30\n{raised} | D+900 | 20"),
    )


@pytest.mark.parametrize(
    ("raised_on", "then"),
    [
        ("D+150", "D+300 | D+300 | 15 | 0.75 | true"),
        ("D+151", "D+120 | D+120 | 30 | 0.5 | true"),
    ],
)
def test_a_cut_that_is_taken_back_within_30_days_is_no_cut(check, raised_on, then):
    low_end = {"D+150": "D+149", "D+151": "D+150"}[raised_on]
    check(
        TAPER + then,
        periods(f"D-100 | D+119 | 60\nD+120 | {low_end} | 30\n{raised_on} | D+299 | 60\nD+300 | D+900 | 15"),
    )


def test_what_a_cut_left_is_read_until_the_dose_is_raised_again(check):
    """Over 60 days the mean would be 49.3 MME, and the patient one without a taper."""
    check(
        TAPER + "D+120 | D+120 | 40 | 0.333333333 | true",
        periods("D-100 | D+119 | 60\nD+120 | D+151 | 40\nD+152 | D+900 | 60"),
    )


def test_a_taper_is_not_lost_when_the_dose_is_raised_again_and_then_cut_a_little(check):
    check(
        TAPER + "D+120 | D+148 | 15 | 0.75 | true",
        periods("D-100 | D+119 | 60\nD+120 | D+147 | 30\nD+148 | D+247 | 15\nD+248 | D+399 | 60\nD+400 | D+900 | 54"),
    )


def test_of_two_tapers_the_first_that_informs_counts_with_its_own_dates_and_pain(check):
    twice = "D-100 | D+119 | 60\nD+120 | D+219 | {}\nD+220 | D+319 | 60\nD+320 | D+347 | 45\nD+348 | D+900 | 15"
    scores = pain("score_date | pain_nrs\n-\nD+100 | 6\nD+160 | 4\nD+300 | 8\nD+400 | 2")
    change = "first_cut_date | last_cut_date | cut_share | is_taper | before_nrs | after_nrs\n-\n"
    check(change + "D+120 | D+120 | 0.5 | true | 6 | 6", periods(twice.format(30)), pain=scores)
    check(change + "D+320 | D+348 | 0.75 | true | 8 | 2", periods(twice.format(50)), pain=scores)


def test_without_a_taper_that_informs_the_first_stands_for_all(check):
    check(
        TAPER + "D+120 | D+120 | 50 | 0.166666667 | false",
        periods("D-100 | D+119 | 60\nD+120 | D+219 | 50\nD+220 | D+319 | 60\nD+320 | D+900 | 48"),
    )


def test_a_taper_of_unknown_size_stands_before_one_that_does_not_inform(check):
    check(
        TAPER + "D+320 | D+320 | | | false",
        periods(
            """start_date | end_date | dose_mme | is_lower_bound
            -
            D-100 | D+119 | 60 | false
            D+120 | D+219 | 50 | false
            D+220 | D+319 | 60 | false
            D+320 | D+350 | 20 | false
            D+351 | D+900 | 20 | true"""
        ),
    )


def test_a_dose_unknown_between_two_of_the_same_is_no_rise(check):
    check(
        "first_cut_date | last_cut_date\n-\nD+120 | D+300",
        periods(
            """start_date | end_date | dose_mme | is_lower_bound
            -
            D-100 | D+119 | 60 | false
            D+120 | D+199 | 30 | false
            D+200 | D+219 | 0  | true
            D+220 | D+299 | 30 | false
            D+300 | D+900 | 15 | false"""
        ),
    )


def test_a_taper_to_nothing_ends_with_the_therapy_and_what_begins_again_is_another(check):
    stopped = "D-100 | D+119 | 60\nD+120 | D+147 | 30"
    check(TAPER + "D+120 | D+148 | 0 | 1 | true", periods(stopped))
    course = f"{stopped}\nD+248 | D+254 | 20"
    check(TAPER + "D+120 | D+148 | 0 | 1 | true", periods(course))
    ended = "D-100 | D+119 | 60\nD+120 | D+200 | 0"
    check(TAPER + "D+120 | D+120 | 0 | 1 | true", periods(ended))
    again = f"{stopped}\nD+248 | D+347 | 60\nD+348 | D+900 | 50"
    check(TAPER + "D+120 | D+148 | 0 | 1 | true", periods(again))


def test_one_patients_rise_ends_no_other_ones_taper(check_sql):
    own = "1 | D-100 | D+119 | 60\n1 | D+120 | D+299 | 30\n1 | D+300 | D+900 | 15"
    other = "2 | D-100 | D+199 | 20\n2 | D+200 | D+900 | 60"
    check_sql(
        TABLE,
        given={
            "episode.episode": episode(),
            "episode.window_dose": RESPONSE,
            "trajectory.dose_period": drawn(
                f"patient_index | start_date | end_date | dose_mme\n-\n{own}\n{other}", is_lower_bound=False
            ),
        },
        then=drawn("first_cut_date | last_cut_date\n-\nD+120 | D+300"),
    )


@pytest.mark.parametrize(
    "before",
    ["D-100 | D+99 | 60 | false\nD+100 | D+105 | 0 | true", "D-100 | D+99 | 60 | false\nD+100 | D+100 | 20 | false"],
    ids=["after a dose that is not known in full", "after a gap"],
)
def test_a_rise_is_short_only_if_what_it_rose_from_is_known_up_to_it(check, before):
    """What follows is 60 for four weeks, then 30: a cut, not the end of an overlap."""
    dose = "start_date | end_date | dose_mme | is_lower_bound\n-\n"
    after = "D+106 | D+133 | 60 | false\nD+134 | D+900 | 30 | false"
    check("episode_id | last_cut_date\n-\na | D+134", periods(f"{dose}{before}\n{after}"))


def test_a_cut_right_after_an_overlap_is_a_cut(check):
    check(
        "first_cut_date | last_cut_date\n-\nD+123 | D+123",
        periods("D-100 | D+119 | 60\nD+120 | D+122 | 105\nD+123 | D+900 | 45"),
    )


def test_a_dose_that_becomes_unknown_is_no_cut(check):
    check(
        "first_cut_date | is_taper\n-\nD+273 | false",
        periods(
            """start_date | end_date | dose_mme | is_lower_bound
            -
            D-100 | D+119 | 60 | false
            D+120 | D+200 | 0  | true
            D+201 | D+900 | 60 | false"""
        ),
    )


@pytest.mark.parametrize(("unknown_from", "after", "is_taper"), [(179, "", "false"), (180, "30", "true")])
def test_a_dose_unknown_within_60_days_of_the_cut_leaves_its_size_unknown(check, unknown_from, after, is_taper):
    share = "0.5" if after else ""
    check(
        f"after_cut_mme | cut_share | is_taper\n-\n{after} | {share} | {is_taper}",
        periods(
            f"""start_date | end_date | dose_mme | is_lower_bound
            -
            D-100 | D+119 | 60 | false
            D+120 | D+{unknown_from - 1} | 30 | false
            D+{unknown_from} | D+900 | 30 | true"""
        ),
    )


def test_the_dose_after_the_cut_is_a_mean_over_60_days_with_or_without_supply(check):
    check(
        "after_cut_mme\n-\n20",
        periods("D-100 | D+119 | 60\nD+120 | D+139 | 30\nD+160 | D+178 | 30\nD+179 | D+179 | 30\nD+180 | D+900 | 31"),
    )


@pytest.mark.parametrize(
    ("raised_on", "kept", "share"),
    [
        # days 148 to 300 are read: 28 to 180 days after the cut on day 120
        (301, 30, 0.5),
        (300, 30.392156863, 0.493464052),
        (148, 90, -0.5),
        (130, 90, -0.5),
    ],
)
def test_the_dose_that_is_kept_is_the_mean_of_the_days_on_which_pain_is_read(check, raised_on, kept, share):
    check(
        f"kept_mme | kept_cut_share | is_taper\n-\n{kept} | {share} | {'true' if raised_on > 148 else 'false'}",
        periods(f"D-100 | D+119 | 60\nD+120 | D+{raised_on - 1} | 30\nD+{raised_on} | D+900 | 90"),
    )


def test_the_dose_that_is_kept_ends_with_follow_up(check):
    """Supply goes on after the last day observed, at a higher dose that nobody saw."""
    check(
        "kept_mme\n-\n30",
        periods("D-100 | D+119 | 60\nD+120 | D+249 | 30\nD+250 | D+900 | 90"),
        follow_up_end_date="D+238",
    )
    check("kept_mme | kept_cut_share\n-\n |", cut_on(120), follow_up_end_date="D+147")


def test_days_without_supply_are_days_of_no_dose_and_an_unknown_dose_leaves_the_mean_unknown(check):
    check("kept_mme\n-\n0", periods("D-100 | D+119 | 60"))
    check(
        "kept_mme | kept_cut_share\n-\n |",
        periods(
            """start_date | end_date | dose_mme | is_lower_bound
            -
            D-100 | D+119 | 60 | false
            D+120 | D+299 | 30 | false
            D+300 | D+900 | 30 | true"""
        ),
    )


def test_without_a_response_dose_there_is_no_taper(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode": episode(),
            "episode.window_dose": drawn("mean_mme | window_name\n-\n | R", episode_id="a"),
            "trajectory.dose_period": cut_on(120),
        },
        then=drawn("episode_id | first_cut_date | cut_share | is_taper\n-\na | D+273 | | false"),
    )


@pytest.mark.parametrize(("end", "is_observable"), [("D+238", "true"), ("D+237", "false")])
def test_a_cut_is_observable_with_90_days_after_withdrawal(check, end, is_observable):
    check(f"last_cut_date | is_observable\n-\nD+120 | {is_observable}", cut_on(120), follow_up_end_date=end)


def test_unknown_follow_up_is_not_observable(check):
    check("episode_id | is_observable\n-\na | false", cut_on(120), follow_up_end_date=None)


def pain(drawing: str) -> str:
    same = {"patient_index": 1, "setting": "outpatient", "is_masked": False}
    return drawn(drawing, **{name: value for name, value in same.items() if name not in drawing})


TAPERED = periods("D-100 | D+119 | 60\nD+120 | D+147 | 45\nD+148 | D+900 | 30")


def test_pain_is_read_from_90_days_before_the_first_cut_and_28_to_180_days_after_the_last(check):
    check(
        """
        before_nrs | before_week_count | after_nrs | after_week_count | change_nrs
        -----------+-------------------+-----------+------------------+-----------
        5          | 2                 | 3         | 2                | -2
        """,
        TAPERED,
        pain=pain(
            """
            score_date | pain_nrs
            -----------+---------
            D+29       | 10
            D+30       | 4
            D+119      | 6
            D+120      | 10
            D+175      | 10
            D+176      | 2
            D+328      | 4
            D+329      | 10
            """
        ),
    )


def test_pain_around_a_cut_is_the_mean_of_weekly_medians(check):
    check(
        "before_nrs | before_week_count\n-\n4 | 2",
        TAPERED,
        pain=pain("score_date | pain_nrs\n-\nD+56 | 2\nD+57 | 3\nD+58 | 10\nD+63 | 5"),
    )


def test_only_known_unmasked_outpatient_scores_of_the_patient_are_read(check):
    check(
        "before_nrs | before_week_count | after_nrs | after_week_count | change_nrs\n-\n4 | 1 | | 0 |",
        TAPERED,
        pain=pain(
            """
            patient_index | score_date | pain_nrs | setting    | is_masked
            --------------+------------+----------+------------+----------
            1             | D+60       | 4        | outpatient | false
            1             | D+60       | 9        | inpatient  | false
            1             | D+70       | 9        | outpatient | true
            1             | D+80       |          | outpatient | false
            2             | D+90       | 9        | outpatient | false
            """
        ),
    )


def test_an_excluded_episode_has_no_row_and_every_other_one_has_one(check_sql):
    check_sql(
        TABLE,
        given={
            "episode.episode": drawn(
                """
                episode_id | patient_index | index_date | excluded_reason
                -----------+---------------+------------+----------------
                a          | 1             | D+0        |
                b          | 1             | D+200      |
                c          | 2             | D+0        |
                d          | 3             | D+0        | under_age
                """,
                follow_up_end_date="D+900",
            ),
            "episode.window_dose": drawn(
                "episode_id | window_name\n-\na | R\na | R2\na | B1\nb | R\nc | R\nd | R", mean_mme=60
            ),
            "trajectory.dose_period": periods(
                "D-100 | D+119 | 60\nD+120 | D+399 | 45\nD+400 | D+420 | 30\nD+430 | D+900 | 15"
            ),
        },
        then=drawn(
            """
            episode_id | first_cut_date | last_cut_date
            -----------+----------------+--------------
            a          | D+120          | D+430
            b          | D+400          | D+430
            c          | D+273          | D+273
            """
        ),
    )
