"""Each contrast of the report says what trial it imitates."""

import polars as pl

from pipelines import paths

REFERENCE = paths.SQL / "1_reference"


def test_every_published_definition_has_its_target_trial():
    trials = set(pl.read_csv(REFERENCE / "target_trial.csv")["contrast"])
    assert set(pl.read_csv(REFERENCE / "published_figure.csv")["definition"]) <= trials


def test_every_published_figure_was_measured_in_at_least_five_worlds_without_hyperalgesia():
    key = ["definition", "figure"]
    figures = pl.read_csv(REFERENCE / "published_figure.csv").select(key)
    worlds = pl.read_csv(REFERENCE / "null_world_figure.csv")
    assert figures.join(worlds, on=key, how="anti").is_empty()
    assert worlds["seed_count"].min() >= 5
