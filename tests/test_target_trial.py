"""Each contrast of the report says what trial it imitates."""

import polars as pl

from pipelines import paths

REFERENCE = paths.SQL / "1_reference"


def test_every_published_definition_has_its_target_trial():
    trials = set(pl.read_csv(REFERENCE / "target_trial.csv")["contrast"])
    assert set(pl.read_csv(REFERENCE / "published_figure.csv")["definition"]) <= trials


def test_every_published_figure_and_no_other_was_measured_in_at_least_five_worlds_without_hyperalgesia():
    figures, worlds = (pl.read_csv(REFERENCE / f"{name}_figure.csv") for name in ("published", "null_world"))
    names = [sorted(table.select("definition", "figure").rows()) for table in (figures, worlds)]
    assert names[0] == names[1]
    assert worlds["seed_count"].min() >= 5
