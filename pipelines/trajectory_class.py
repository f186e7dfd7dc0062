"""Classes of patients by the joint course of dose and pain: described, never used for a label.

A mixture of normal distributions with a variance per class and column, fitted to quarterly means of the logarithm of
the dose and of pain. How many classes there are is told by the Bayesian information criterion, among those numbers
that leave no class too small to speak of.
"""

from typing import Any

import numpy as np
import polars as pl
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from pipelines.settings import Settings
from pipelines.study import Study
from pipelines.warehouse import Connection

SCHEMA: dict[str, Any] = {
    "class_number": pl.Int32,
    "quarter_number": pl.Int32,
    "patient_count": pl.Int64,
    "class_share": pl.Float64,
    "geometric_mean_mme": pl.Float64,
    "mean_nrs": pl.Float64,
    "mean_posterior": pl.Float64,
}


def build_trajectory_class(connection: Connection, study: Study) -> pl.DataFrame:
    """Classes by quarter; grain: one row per class and quarter, none where too few patients can be put in classes."""
    settings = study.settings
    quarter = connection.sql(
        """
        with first_month as (
            select patient_index, min(month_number) as first_month
            from trajectory.therapy_month
            where is_long_term
            group by all
        )
        select
            patient_index,
            (month_number - first_month) // $months + 1 as quarter_number,
            avg(log2_mme) as log2_mme,
            avg(pain_nrs) as pain_nrs
        from episode.dose_pain_month
        inner join first_month using (patient_index)
        where month_number between first_month and first_month + $months * $quarters - 1
        group by all
        order by all
        """,
        params={"months": settings.quarter_months, "quarters": settings.class_quarter_count},
    ).pl()
    return classes(quarter, settings, study.disclosure.min_cell_count)


def classes(quarter: pl.DataFrame, settings: Settings, min_cell_count: int) -> pl.DataFrame:
    """Put patients whose every quarter is known into classes.

    Args:
        quarter: One row per patient and quarter: patient_index, quarter_number, log2_mme, pain_nrs.
        settings: How many quarters, how many classes at most, and how small a class may be.
        min_cell_count: Counts are rounded to its multiples; a class of fewer patients makes a number of classes unfit.

    Returns:
        Columns of report.trajectory_class, classes in the order of their mean dose.
    """
    numbers = range(1, settings.class_quarter_count + 1)
    whole = quarter.drop_nulls().filter(
        pl.len().over("patient_index") == settings.class_quarter_count, pl.col("quarter_number").is_in([*numbers])
    )
    wide = whole.pivot("quarter_number", index="patient_index", values=["log2_mme", "pain_nrs"]).sort("patient_index")
    if len(wide) < min_cell_count:
        return pl.DataFrame(schema=SCHEMA)
    columns = [f"{name}_{number}" for name in ("log2_mme", "pain_nrs") for number in numbers]
    posterior = _posterior(wide.select(columns).to_numpy(), settings, min_cell_count)
    found = wide.with_columns(drawn=pl.Series(posterior.argmax(axis=1)), posterior=pl.Series(posterior.max(axis=1)))
    dose = pl.mean_horizontal(f"log2_mme_{number}" for number in numbers)
    ranked = found.with_columns(
        class_number=dose.mean().over("drawn").rank("dense").cast(pl.Int32),
    )

    def rounded(count: pl.Expr) -> pl.Expr:
        return ((count / min_cell_count).round() * min_cell_count).cast(pl.Int64)

    described = [
        ranked.group_by("class_number").agg(
            quarter_number=pl.lit(number, dtype=pl.Int32),
            patient_count=rounded(pl.len()),
            geometric_mean_mme=(2 ** pl.col(f"log2_mme_{number}").mean()).round(1),
            mean_nrs=pl.col(f"pain_nrs_{number}").mean().round(2),
            mean_posterior=pl.col("posterior").mean().round(3),
        )
        for number in numbers
    ]
    share = pl.col("patient_count") / pl.col("patient_count").sum().over("quarter_number")
    table = pl.concat(described).with_columns(class_share=share.round(4)).select(*SCHEMA)
    return table.cast(pl.Schema(SCHEMA)).sort("class_number", "quarter_number")


def _posterior(values: np.ndarray, settings: Settings, min_cell_count: int) -> np.ndarray:
    """Probability of each class (column) in each patient (row), of the number of classes that fits best."""
    scaled = StandardScaler().fit_transform(values)
    best = np.ones((len(values), 1))
    lowest = np.inf
    fewest = max(min_cell_count, settings.class_min_share * len(values))
    for count in range(1, settings.class_max_count + 1):
        if count * fewest > len(values):
            break
        mixture = GaussianMixture(count, covariance_type="diag", reg_covar=1e-3, n_init=5, random_state=0).fit(scaled)
        posterior = mixture.predict_proba(scaled)
        sizes = np.bincount(posterior.argmax(axis=1), minlength=count)
        bic = mixture.bic(scaled)
        if sizes.min() >= fewest and bic < lowest:
            best, lowest = posterior, bic
    return best
