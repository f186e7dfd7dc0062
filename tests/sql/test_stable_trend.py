"""How long the dose was stable before an episode, and how pain went meanwhile."""

import pytest

from tests.sql.drawing import drawn

TABLE = "episode.stable_trend"


@pytest.fixture
def check(check_sql):
    """One episode, a, of patient 1 at 60 MME in B0; periods are start, end, dose and whether that is a lower bound."""

    def check(
        then: str,
        *period: str,
        pain: str = "",
        mean_mme: object = 60,
        settings: dict[str, object] | None = None,
        **values: object,
    ) -> None:
        head = "start_date | end_date | dose_mme | is_lower_bound\n-\n"
        check_sql(
            TABLE,
            given={
                "episode.episode": drawn("episode_id\n-\na", **({"patient_index": 1, "index_date": "D+0"} | values)),
                "episode.window_dose": drawn("episode_id\n-\na", window_name="B0", mean_mme=mean_mme),
                "trajectory.dose_period": drawn(head + "\n".join(period), patient_index=1),
                "trajectory.pain_day": pain,
            },
            settings=settings,
            then=then,
        )

    return check


def months(count: int, weeks: int = 0, rise: str = "") -> str:
    return f"stable_month_count | scored_week_count | rise_nrs_per_month\n-\n{count} | {weeks} | {rise}"


def test_all_twelve_months_of_the_look_back_may_be_stable(check):
    check(months(12), "D-400 | D+90 | 60 | false")


def test_a_month_is_stable_within_10_percent_of_b0(check):
    check(months(3), "D-400 | D-91 | 66.1 | false", "D-90 | D+90 | 60 | false")
    check(months(12), "D-400 | D-91 | 66 | false", "D-90 | D+90 | 60 | false")
    check(months(12), "D-400 | D-91 | 54 | false", "D-90 | D+90 | 60 | false")
    check(months(3), "D-400 | D-91 | 53.9 | false", "D-90 | D+90 | 60 | false")


def test_months_are_counted_back_from_the_index_date_until_one_is_not_stable(check):
    """The 2nd month deviates, so the 3rd no longer counts."""
    check(months(1), "D-400 | D-61 | 60 | false", "D-60 | D-31 | 90 | false", "D-30 | D+90 | 60 | false")
    check(months(0), "D-400 | D-31 | 60 | false", "D-30 | D-1 | 90 | false")


def test_the_index_date_itself_is_in_no_month(check):
    check(months(12), "D-400 | D-1 | 60 | false", "D+0 | D+90 | 600 | false")


def test_a_short_overlap_does_not_end_what_is_stable(check):
    """Three days of double supply raise a month by 10 %."""
    check(months(12), "D-400 | D-41 | 60 | false", "D-40 | D-38 | 120 | false", "D-37 | D+90 | 60 | false")
    check(months(1), "D-400 | D-42 | 60 | false", "D-41 | D-38 | 120 | false", "D-37 | D+90 | 60 | false")


def test_a_month_without_supply_or_of_unknown_dose_is_not_stable(check):
    check(months(2), "D-400 | D-91 | 60 | false", "D-60 | D+90 | 60 | false")
    check(months(1), "D-400 | D-41 | 60 | false", "D-40 | D-40 | 60 | true", "D-39 | D+90 | 60 | false")
    check(months(0))


def test_days_without_supply_count_where_the_study_counts_all_days(check):
    gap = ("D-400 | D-56 | 60 | false", "D-51 | D+90 | 60 | false")
    check(months(12), *gap)
    check(months(1), *gap, settings={"dose_definition": "window_days"})


def test_without_a_dose_in_b0_nothing_is_stable(check):
    check(months(0), "D-400 | D-1 | 60 | false", mean_mme="")


def pain(drawing: str) -> str:
    same = {"patient_index": 1, "setting": "outpatient", "is_masked": False}
    return drawn(drawing, **{name: value for name, value in same.items() if name not in drawing})


STABLE = ("D-400 | D-91 | 90 | false", "D-90 | D+90 | 60 | false")


def test_the_slope_is_that_of_weekly_medians_over_the_stable_months(check):
    """A point in ten weeks is 3 / 7 of a point in 30 days. Days before the stable months and from the index date on do not count."""
    scores = pain("score_date | pain_nrs\n-\nD-91 | 0\nD-84 | 3\nD-83 | 4\nD-82 | 9\nD-14 | 5\nD+0 | 10")
    check(months(3, 2, "0.428571429"), *STABLE, pain=scores)


def test_one_scored_week_has_no_slope(check):
    check(months(3, 1), *STABLE, pain=pain("score_date | pain_nrs\n-\nD-84 | 3\nD-82 | 9"))


def test_only_known_unmasked_outpatient_scores_count(check):
    check(
        months(3, 1),
        *STABLE,
        pain=pain(
            """
            score_date | pain_nrs | setting    | is_masked | masked_by_date
            -----------+----------+------------+-----------+---------------
            D-84       | 3        | outpatient | false     |
            D-70       |          | outpatient | false     |
            D-63       | 9        | inpatient  | false     |
            D-56       | 9        | outpatient | true      | D-50
            """
        ),
    )


@pytest.mark.parametrize(("masked_by", "weeks"), [("D+90", 0), ("D+91", 1)])
def test_an_operation_after_day_90_masks_nothing_yet(check, masked_by, weeks):
    row = f"D-5 | 3 | true | {masked_by}"
    check(months(3, weeks), *STABLE, pain=pain(f"score_date | pain_nrs | is_masked | masked_by_date\n-\n{row}"))


def test_an_excluded_episode_has_no_row(check):
    check("episode_id\n-", "D-400 | D+90 | 60 | false", excluded_reason="under_age")
