"""Classes of dose and pain: found where they are, none too small, the same every time, and nobody counted exactly."""

import numpy as np
import polars as pl

from pipelines import trajectory_class
from pipelines.settings import Settings

SETTINGS = Settings()


def patients(seed: int, *groups: tuple[int, float, float]) -> pl.DataFrame:
    """Quarters of patients around the dose and pain of their group."""
    rng = np.random.default_rng(seed)
    rows = []
    first = 0
    for count, dose, pain in groups:
        for quarter in range(1, SETTINGS.class_quarter_count + 1):
            rows.append(
                pl.DataFrame(
                    {
                        "patient_index": np.arange(first, first + count),
                        "quarter_number": quarter,
                        "log2_mme": rng.normal(np.log2(dose), 0.2, count),
                        "pain_nrs": rng.normal(pain, 0.4, count),
                    }
                )
            )
        first += count
    return pl.concat(rows)


def test_groups_that_stand_apart_are_found_in_the_order_of_their_dose():
    found = trajectory_class.classes(patients(1, (200, 120, 7), (300, 30, 4)), SETTINGS, 11)
    first = found.filter(pl.col("quarter_number") == 1)
    assert first["class_number"].to_list() == [1, 2]
    assert first["patient_count"].to_list() == [297, 198]
    assert (first["geometric_mean_mme"] - pl.Series([30, 120])).abs().max() < 5
    assert (first["mean_nrs"] - pl.Series([4, 7])).abs().max() < 0.2


def test_no_class_is_smaller_than_a_twentieth():
    found = trajectory_class.classes(patients(2, (480, 30, 4), (20, 400, 9)), SETTINGS, 11)
    assert found["class_share"].min() >= SETTINGS.class_min_share


def test_one_group_is_one_class():
    found = trajectory_class.classes(patients(3, (400, 30, 4)), SETTINGS, 11)
    assert found["class_number"].unique().to_list() == [1]


def test_the_same_patients_give_the_same_classes_in_any_order():
    quarter = patients(4, (200, 120, 7), (300, 30, 4))
    again = trajectory_class.classes(quarter.sample(fraction=1, shuffle=True, seed=5), SETTINGS, 11)
    assert again.equals(trajectory_class.classes(quarter, SETTINGS, 11))


def test_patients_with_a_quarter_unknown_are_in_no_class():
    quarter = patients(6, (20, 30, 4))
    unknown = (pl.col("patient_index") < 10) & (pl.col("quarter_number") == 2)
    gone = quarter.with_columns(pain_nrs=pl.when(~unknown).then("pain_nrs"))
    assert trajectory_class.classes(gone, SETTINGS, 11).is_empty()
    assert not trajectory_class.classes(quarter, SETTINGS, 11).is_empty()
    assert trajectory_class.classes(quarter.filter(~unknown), SETTINGS, 11).is_empty()
