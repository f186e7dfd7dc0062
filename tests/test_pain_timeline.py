"""Means of weekly pain in windows of days, against adding up row by row."""

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import pain_timeline

MONDAY = date(2021, 1, 4)
WEEKS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-60, 60), st.integers(0, 20)), unique_by=lambda week: week[:2], max_size=60
)


@settings(max_examples=150, deadline=None)
@given(
    weeks=WEEKS,
    days=st.lists(st.tuples(st.integers(0, 4), st.integers(-450, 450)), max_size=12),
    window=st.tuples(st.integers(-365, 200), st.integers(0, 300)),
)
def test_a_window_mean_is_that_of_the_weeks_that_begin_in_it(weeks, days, window):
    scored = [(patient, MONDAY + timedelta(weeks=week), half / 2) for patient, week, half in weeks]
    asked = [(patient, MONDAY + timedelta(days=day)) for patient, day in days]
    first, last = window[0], window[0] + window[1]
    week = pl.DataFrame(
        scored, schema={"patient_index": pl.Int32, "week_start_date": pl.Date, "pain_nrs": pl.Float64}, orient="row"
    )
    day = pl.DataFrame(asked, schema={"patient_index": pl.Int32, "index_date": pl.Date}, orient="row")
    means = pain_timeline.window_means(week, day, first, last)
    for (patient, on), mean in zip(asked, means, strict=True):
        inside = [
            nrs
            for other, start, nrs in scored
            if other == patient and on + timedelta(days=first) <= start <= on + timedelta(days=last)
        ]
        assert mean == (sum(inside) / len(inside) if inside else None)
