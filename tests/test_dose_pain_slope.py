"""Pain on dose within a patient: steps of the dose, the ridge fit, its bootstrap; against plain arithmetic."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines import dose_pain_slope
from pipelines.settings import Settings
from tests.sql import history
from tests.sql.drawing import INDEX_DATE, day

SETTINGS = Settings()


def weeks(*rows: tuple[int, int, float, float | None]) -> pl.DataFrame:
    """Rows of episode number, day of the Monday, pain and dose."""
    schema = {"episode_number": pl.Int64, "week_day": pl.Int64, "pain_nrs": pl.Float64, "dose_mme": pl.Float64}
    return pl.DataFrame(sorted(rows), schema=schema, orient="row")


def fitted(*rows: tuple[int, int, float, float | None], episodes: int = 1, **changed: object) -> pl.DataFrame:
    seed = np.arange(episodes, dtype=np.uint64) * 1000
    return dose_pain_slope.fitted(weeks(*rows), seed, SETTINGS.model_copy(update=changed))


def ridge(rows: list[tuple[float, float, float]], weight: float) -> float:
    """The slope on dose, from the normal equations of rows of doublings, years and pain."""
    known = np.array(rows)
    design = known[:, :2] - known[:, :2].mean(axis=0)
    return float(
        np.linalg.solve(design.T @ design + weight * np.eye(2), design.T @ (known[:, 2] - known[:, 2].mean()))[0]
    )


WEEKS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-53, 12), st.integers(0, 20), st.integers(1, 300)),
    unique_by=lambda week: week[:2],
    max_size=80,
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(WEEKS)
def test_a_slope_is_that_of_the_normal_equations(found):
    rows = [(number, week * 7, half / 2, float(dose)) for number, week, half, dose in found]
    fit = fitted(*rows, episodes=4, slope_draw_count=50)
    for number in range(4):
        own = [(np.log2(dose), days / 365, nrs) for other, days, nrs, dose in rows if other == number]
        assert fit["scored_week_count"][number] == len(own)
        if len(own) < 2:
            assert fit.row(number)[1:] == (None,) * 4
            continue
        assert fit["slope_nrs_per_doubling"][number] == pytest.approx(ridge(own, 1.0), abs=2e-6)
        spread = np.std([doublings for doublings, *_ in own], ddof=1)
        assert fit["dose_sd_doublings"][number] == pytest.approx(spread, abs=2e-6)


@hypothesis_settings(max_examples=30, deadline=None)
@given(WEEKS, st.permutations(range(4)))
def test_an_episode_is_told_the_same_whoever_is_beside_it(found, order):
    rows = [(number, week * 7, half / 2, float(dose)) for number, week, half, dose in found]
    seed = np.array([7, 8, 9, 10], dtype=np.uint64)
    settings = SETTINGS.model_copy(update={"slope_draw_count": 50})
    together = dose_pain_slope.fitted(weeks(*rows), seed, settings)
    place = {number: order.index(number) for number in range(4)}
    moved = weeks(*((place[number], *rest) for number, *rest in rows))
    assert dose_pain_slope.fitted(moved, seed[order], settings).equals(together[list(order)])
    for number in range(4):
        alone = weeks(*((0, *rest) for other, *rest in rows if other == number))
        assert dose_pain_slope.fitted(alone, seed[[number]], settings).equals(together[[number]])


def regular(slope: float, noise: float = 0.0, count: int = 40, seed: int = 1) -> list[tuple[int, int, float, float]]:
    """Weeks in which the dose goes up and down by one doubling every eight weeks."""
    rng = np.random.default_rng(seed)
    doublings = (np.arange(count) // 8) % 2
    return [
        (0, int(7 * (week - 50)), float(5 + slope * up + noise * rng.normal()), float(20 * 2**up))
        for week, up in enumerate(doublings)
    ]


def test_pain_that_follows_the_dose_has_its_slope_less_what_the_ridge_takes():
    """Of 40 weeks half are at the doubled dose: 10 squared deviations, beside which the ridge weighs 1."""
    [(count, spread, slope, low, high)] = fitted(*regular(1.1)).rows()
    assert (count, spread) == (40, pytest.approx(np.std(np.arange(40) // 8 % 2, ddof=1), abs=1e-6))
    assert slope == pytest.approx(1.0, abs=0.02)
    assert 0.8 < low <= slope <= high < 1.1


def test_an_interval_is_that_of_fits_to_weeks_that_count_as_often_as_their_block_is_drawn():
    """The doublings drift, so that the means of a draw are not those of the weeks as they are."""
    rng = np.random.default_rng(5)
    rows = [(0, 7 * (week - 50), rng.integers(0, 21) / 2, 20 * 1.03**week) for week in range(50)]
    rows = [(number, days, nrs, dose * rng.choice([1, 2])) for number, days, nrs, dose in rows]
    draws, blocks, place = 50, 17, 1000
    pool = np.random.default_rng(0).poisson(1.0, (1 << 20) + draws * blocks)
    weight_of = pool[place : place + draws * blocks].reshape(blocks, draws)
    slopes = []
    for draw in range(draws):
        drawn = [
            (np.log2(dose), days / 365, nrs)
            for _, days, nrs, dose in rows
            for _ in range(weight_of[(days + 371) // 28, draw])
        ]
        slopes.append(ridge(drawn, 1.0) if drawn else 0.0)
    fit = dose_pain_slope.fitted(
        weeks(*rows), np.array([place], dtype=np.uint64), SETTINGS.model_copy(update={"slope_draw_count": draws})
    )
    assert fit.row(0)[3:] == pytest.approx(np.quantile(slopes, [0.05, 0.95]), abs=2e-6)


def test_without_any_slope_the_interval_has_zero_in_it_about_nine_times_in_ten():
    rows = [(number, *rest) for number in range(300) for _, *rest in regular(0, noise=1.8, seed=number)]
    fit = fitted(*rows, episodes=300)
    missed = ((fit["low_nrs_per_doubling"] > 0) | (fit["high_nrs_per_doubling"] < 0)).mean()
    assert 0.05 < missed < 0.2


def test_a_drift_over_time_is_no_slope_on_dose():
    rising = [(0, days, 5 + days / 365, dose) for _, days, _, dose in regular(0)]
    assert abs(fitted(*rising)["slope_nrs_per_doubling"][0]) < 0.1


def test_weeks_without_a_dose_or_of_an_unknown_one_are_left_out():
    rows = regular(1)
    worse = [*rows, (0, 40, 10.0, None), (0, 47, 10.0, 0.0)]
    assert fitted(*worse).equals(fitted(*rows))


@pytest.mark.parametrize(("count", "is_told"), [(5, False), (6, True)])
def test_an_interval_needs_six_weeks(count, is_told):
    """Every other week the dose is doubled."""
    rows = [(0, 7 * (week - 10), 5.0 + week % 2, 20.0 * 2 ** (week % 2)) for week in range(count)]
    [(weeks_found, _, slope, low, high)] = fitted(*rows).rows()
    assert weeks_found == count and slope is not None
    assert (low is not None, high is not None) == (is_told, is_told)


def test_a_stable_dose_has_a_slope_of_zero_and_no_interval():
    rows = [(0, 7 * (week - 10), 5.0 + week % 3, 20.0) for week in range(20)]
    assert fitted(*rows).rows() == [(20, 0.0, 0.0, None, None)]


def test_one_week_is_no_slope_and_none_is_none():
    assert fitted((0, 0, 5.0, 20.0), episodes=2).rows() == [(1, None, None, None, None), (0, None, None, None, None)]


def test_the_ridge_is_a_setting():
    rows = regular(1)
    slopes = [fitted(*rows, slope_ridge_weeks=ridge)["slope_nrs_per_doubling"][0] for ridge in (0.01, 1.0, 10.0)]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] == pytest.approx(1, abs=0.01)


def periods(*rows: tuple[int, int, float] | tuple[int, int, float, bool]) -> pl.DataFrame:
    """Runs of patient 1: first day, last day, dose, and whether that is a lower bound."""
    full = [(1, day(row[0]), day(row[1]), row[2], len(row) > 3) for row in rows]
    schema = {
        "patient_index": pl.Int32,
        "start_date": pl.Date,
        "end_date": pl.Date,
        "dose_mme": pl.Float64,
        "is_lower_bound": pl.Boolean,
    }
    return pl.DataFrame(full, schema=schema, orient="row")


def steps(*rows: tuple[int, int, float] | tuple[int, int, float, bool]) -> list[int]:
    found = dose_pain_slope.steps(periods(*rows), SETTINGS, "on_therapy_days")
    return [(step - INDEX_DATE).days for step in found["step_date"]]


def test_a_step_is_a_rise_of_a_fifth_or_a_fall_that_undoes_one():
    assert steps((-200, -1, 50), (0, 200, 60)) == [0]
    assert steps((-200, -1, 50), (0, 200, 59.9)) == []
    assert steps((-200, -1, 60), (0, 200, 50)) == [0]
    assert steps((-200, -1, 60), (0, 200, 50.1)) == []


def test_a_rise_that_is_taken_back_within_28_days_is_a_step_only_if_the_mean_moves():
    assert steps((-200, -1, 50), (0, 4, 100), (5, 200, 50)) == []
    assert steps((-200, -1, 50), (0, 27, 100), (28, 200, 50)) == [0, 28]


def test_changes_less_than_28_days_apart_are_one_step():
    assert steps((-200, -1, 40), (0, 26, 60), (27, 200, 90)) == [0]
    assert steps((-200, -1, 40), (0, 27, 60), (28, 200, 90)) == [0, 28]


def test_a_step_is_covered_and_known_before_and_after():
    assert steps((0, 200, 60)) == []
    assert steps((-23, -1, 50), (0, 200, 60)) == [0]  # 23 of 28 days are four fifths
    assert steps((-22, -1, 50), (0, 200, 60)) == []
    assert steps((-200, -1, 50), (0, 22, 60)) == [0]
    assert steps((-200, -1, 50), (0, 21, 60)) == []
    assert steps((-200, -20, 50), (-19, -19, 50, True), (-18, -1, 50), (0, 200, 60)) == []
    assert steps((-200, -1, 50), (0, 10, 60), (11, 11, 60, True), (12, 200, 60)) == []


def test_the_dose_of_a_week_is_the_mean_of_14_days_that_ended_14_days_before_its_monday():
    week = pl.DataFrame(
        {"patient_index": [1], "week_start_date": [day(0)]}, schema_overrides={"patient_index": pl.Int32}
    )

    def dose(*rows: tuple[int, int, float] | tuple[int, int, float, bool]) -> float | None:
        return dose_pain_slope.dose_before(periods(*rows), week, SETTINGS, "on_therapy_days")[0]

    assert dose((-100, -28, 900), (-27, -14, 60), (-13, 100, 900)) == 60
    assert dose((-100, -21, 40), (-20, 100, 80)) == 60
    assert dose((-20, 100, 80)) == 80
    assert dose((-100, -28, 60)) is None
    assert dose((-100, -20, 60), (-19, -19, 60, True), (-18, 100, 60)) is None
    all_days = dose_pain_slope.dose_before(periods((-20, 100, 80)), week, SETTINGS, "window_days")[0]
    assert all_days == 40


@pytest.fixture(scope="module")
def rows():
    return history.histories(seed=3, patients=8)


@pytest.fixture(scope="module")
def derived(rows):
    return history.derived(rows)


def test_nothing_dated_after_day_90_moves_a_slope(rows, derived):
    """The first episode of each patient is looked at, as the rest is rewritten."""
    index = derived.sql(
        "select patient_index, min(index_date) as index_date from episode.episode "
        "where index_kind = 'dose_led' and excluded_reason is null group by all"
    ).fetchall()
    last_day = {patient: found + timedelta(days=90) for patient, found in index}
    after = history.derived(history.rewritten_after(rows, last_day, seed=4))
    for patient, found in index:
        episode = f"{patient}-{found}"
        query = f"from episode.dose_pain_slope where episode_id = '{episode}'"
        assert derived.sql(query).fetchall() == after.sql(query).fetchall() != []


def test_every_episode_that_is_not_excluded_has_a_slope_or_says_how_little_there_is(derived):
    kept = derived.sql("select episode_id from episode.episode where excluded_reason is null order by all").fetchall()
    found = derived.sql("select episode_id from episode.dose_pain_slope order by all").fetchall()
    assert found == kept


def test_scores_of_the_settling_and_early_weeks_are_not_read(rows, derived):
    """Days 0 to 35 are no part of the look-back, nor of the response window."""
    [[episode, patient, index]] = derived.sql(
        "select episode_id, patient_index, index_date from episode.dose_pain_slope inner join episode.episode "
        "using (episode_id, patient_index) order by scored_week_count desc, episode_id limit 1"
    ).fetchall()
    moved = [
        row | {"score": 10.0, "score_text": None}
        if row["patient_index"] == patient and index <= row["scored_at"] <= index + timedelta(days=35)
        else row
        for row in rows["clean.pain_score"]
    ]
    query = f"from episode.dose_pain_slope where episode_id = '{episode}'"
    after = history.derived(rows | {"clean.pain_score": moved})
    assert derived.sql(query).fetchall() == after.sql(query).fetchall() != []
