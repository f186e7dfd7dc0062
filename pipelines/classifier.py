"""The classifier: trained on simulated worlds whose truth is known, never on the rules and never on the study.

A world of its own is drawn with its own seed and run through the same steps in a warehouse of its own. The model is
kept by fingerprint, so a study trains once. Its target is the question itself: would pain have been at least half a
point lower had the dose been held?
"""

import json
import math
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from pipelines import paths, simulator, tables, warehouse
from pipelines.study import Source, Study
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

TARGET = "y_escalation"
FOLDS = 5
RESAMPLES = 500
# Everything up to the features depends on the dose and pain of one patient at a time.
TRAINING_STEPS = ("raw", "reference", "clean", "trajectory", "episode")

# Modules that come after the model, so that a new page layout does not train anew.
NOT_LEARNED_FROM = ("checks", "cli", "definitions", "disclosure", "publishing", "reporting", "workspace")

SIMULATED = "simulated truth of this study"
CROSS_VALIDATED = "simulated training world, cross-validated by patient"

Metrics = list[dict[str, Any]]


def build_score(connection: Connection, study: Study) -> pl.DataFrame:
    """Score every episode that can be judged; grain: one row per episode of ``episode.feature``."""
    feature = connection.sql("from episode.feature order by episode_id").pl()
    model = trained(study)
    probability = model["classifier"].predict_proba(_matrix(feature))[:, 1] if len(feature) else np.empty(0)
    return pl.DataFrame(
        {
            "episode_id": feature["episode_id"],
            "oih_probability": pl.Series(probability, dtype=pl.Float64),
            "model_fingerprint": pl.Series([model["fingerprint"]] * len(feature), dtype=pl.String),
        }
    )


def build_model_metric(connection: Connection, study: Study) -> pl.DataFrame:
    """Metrics against simulated truth: of the training world always, of the study where it has a truth folder."""
    metrics = trained(study)["metrics"]
    scored = _scored_truth(connection, study)
    if scored is not None and scored[TARGET].n_unique() == 2:
        metrics = metrics + _metrics(scored, SIMULATED)
    return pl.DataFrame(metrics, schema=["metric", "value", "lower", "upper", "evaluated_on", "meaning"], orient="row")


def build_reliability(connection: Connection, study: Study) -> pl.DataFrame:
    """Predicted against observed in ten bins of equal size; empty where no truth is known."""
    schema = {"bin": pl.Int32, "episode_count": pl.Int64, "patient_count": pl.Int64}
    schema |= {"mean_predicted": pl.Float64, "observed_share": pl.Float64}
    scored = _scored_truth(connection, study)
    if scored is None or scored.is_empty():
        return pl.DataFrame(schema=schema)
    rank = (pl.col("oih_probability").rank("ordinal") - 1) * 10 // pl.len()
    return (
        scored.with_columns(bin=rank.cast(pl.Int32))
        .group_by("bin")
        .agg(
            episode_count=pl.len().cast(pl.Int64),
            patient_count=pl.col("patient_index").n_unique().cast(pl.Int64),
            mean_predicted=pl.col("oih_probability").mean(),
            observed_share=pl.col(TARGET).mean(),
        )
        .sort("bin")
    )


def trained(study: Study) -> dict[str, Any]:
    """The model for a study, trained if no model with its fingerprint is kept."""
    folder = Workspace(study).models
    fingerprint = _fingerprint(study)
    file = folder / f"{fingerprint}.joblib"
    if not file.exists():
        model = {"fingerprint": fingerprint, **_train(study, folder / f"{fingerprint}.world")}
        unfinished = file.with_suffix(".unfinished")
        joblib.dump(model, unfinished)
        unfinished.replace(file)
    return joblib.load(file)


def _fingerprint(study: Study) -> str:
    """Hash of what the model depends on: code and SQL up to the features, settings and the training world."""
    code = [file for step in ("1_reference", "2_clean/simulated", "3_*", "4_*") for file in paths.SQL.glob(f"{step}/*")]
    code += [file for file in Path(__file__).parent.rglob("*.py") if file.stem not in NOT_LEARNED_FROM]
    parts = [paths.fingerprint(code), json.dumps(study.parameters, sort_keys=True), study.training.model_dump_json()]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def _train(study: Study, folder: Path) -> dict[str, Any]:
    world = simulator.simulate(study.training.patient_count, study.training.seed, simulator.World(randomise=True))
    simulator.write(world, folder)
    feature, target = _featured(study, folder)
    shutil.rmtree(folder)
    labelled = _labelled(feature, target)
    matrix, truth, patient = _matrix(labelled), labelled[TARGET].to_numpy(), labelled["patient_index"].to_numpy()
    splits = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(matrix, truth, patient))
    out_of_fold = np.empty(len(truth))
    for learn, judge in splits:
        inner = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=1)
        inner_splits = list(inner.split(matrix[learn], truth[learn], patient[learn]))
        fold = _calibrated(inner_splits).fit(matrix[learn], truth[learn])
        out_of_fold[judge] = fold.predict_proba(matrix[judge])[:, 1]
    scored = labelled.select("patient_index", TARGET).with_columns(oih_probability=pl.Series(out_of_fold))
    return {
        "classifier": _calibrated(splits).fit(matrix, truth),
        "metrics": _metrics(scored, CROSS_VALIDATED),
    }


def _calibrated(splits: list[tuple[Any, Any]]) -> CalibratedClassifierCV:
    """Small boosted trees, calibrated on folds that keep a patient together.

    ``early_stopping`` stays off: its inner split would part the episodes of one patient.
    """
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=8,
        min_samples_leaf=40,
        learning_rate=0.05,
        max_iter=150,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    return CalibratedClassifierCV(trees, method="sigmoid", cv=splits)


def _featured(study: Study, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run the world through the steps up to the features; give the features and the truth of its escalations."""
    world = study.model_copy(
        update={"sources": {"simulated": Source(folder=folder / "extract")}, "output": folder, "truth": folder / "truth"}
    )
    with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
        for table in tables.of(world):
            if table.step in TRAINING_STEPS:
                table.build(connection, world)
        feature = connection.sql("from episode.feature order by episode_id").pl()
        return feature, _truth(connection, world.truth)


def _truth(connection: Connection, folder: Path) -> pl.DataFrame:
    """Truth of every simulated escalation by patient and index date."""
    truth = pl.read_csv(folder / "escalation.csv", try_parse_dates=True).with_columns(
        patient_id=pl.lit("simulated:") + pl.col("patient_id")
    )
    episode = connection.sql(
        "select episode_id, patient_id, index_date from episode.episode left join clean.patient using (patient_index)"
    ).pl()
    return episode.join(truth, on=["patient_id", "index_date"]).select("episode_id", TARGET)


def _labelled(feature: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Features of the episodes whose truth is known.

    An index date that is no escalation of the simulator (an early refill, say) has no truth and is left out.
    """
    return feature.join(truth, on="episode_id").sort("episode_id")


def _scored_truth(connection: Connection, study: Study) -> pl.DataFrame | None:
    if study.truth is None:
        return None
    score = connection.sql(
        "select episode_id, patient_index, oih_probability from label.score join episode.episode using (episode_id)"
    ).pl()
    return _labelled(score, _truth(connection, study.truth))


def _matrix(feature: pl.DataFrame) -> np.ndarray:
    return feature.drop("episode_id", "patient_index", TARGET, strict=False).cast(pl.Float64).to_numpy()


def _metrics(scored: pl.DataFrame, evaluated_on: str) -> Metrics:
    """Discrimination and calibration with 95 % intervals from resampling patients."""
    truth, score = scored[TARGET].to_numpy(), scored["oih_probability"].to_numpy()
    patients, position = np.unique(scored["patient_index"].to_numpy(), return_inverse=True)
    rng = np.random.default_rng(0)
    measures = {
        "auroc": (roc_auc_score, "Share of pairs that the score puts in the right order"),
        "average_precision": (average_precision_score, "Area under precision and recall; chance gives the prevalence"),
        "brier_score": (brier_score_loss, "Mean squared error of the probability"),
        "observed_to_expected": (_observed_to_expected, "True cases over the sum of probabilities; 1 is calibrated"),
        "calibration_slope": (_calibration_slope, "Slope of truth on the logit of the score; 1 is calibrated"),
        "ppv_at_half_sensitivity": (_ppv_at_half_sensitivity, "Share of true cases among the flagged, half found"),
        "prevalence": (lambda truth, score: truth.mean(), "Share of true cases among the episodes"),
    }
    resamples = []
    for _ in range(RESAMPLES):
        weight = np.bincount(rng.integers(len(patients), size=len(patients)), minlength=len(patients))[position]
        rows = np.repeat(np.arange(len(truth)), weight)
        if len(np.unique(truth[rows])) == 2:
            resamples.append(rows)
    found: Metrics = []
    for name, (measure, meaning) in measures.items():
        lower, upper = np.quantile([measure(truth[rows], score[rows]) for rows in resamples], [0.025, 0.975])
        found.append(_metric(name, measure(truth, score), lower, upper, evaluated_on, meaning))
    found.append(_metric("episodes", len(truth), None, None, evaluated_on, "Episodes with known truth"))
    found.append(_metric("true_cases", int(truth.sum()), None, None, evaluated_on, "Of these, true cases"))
    return found


def _metric(name: str, value: float, lower: float | None, upper: float | None, on: str, meaning: str) -> dict[str, Any]:
    return {
        "metric": name,
        "value": float(value),
        "lower": None if lower is None else float(lower),
        "upper": None if upper is None else float(upper),
        "evaluated_on": on,
        "meaning": meaning,
    }


def _observed_to_expected(truth: np.ndarray, score: np.ndarray) -> float:
    return truth.sum() / score.sum()


def _calibration_slope(truth: np.ndarray, score: np.ndarray) -> float:
    logit = np.log(np.clip(score, 1e-6, 1 - 1e-6) / np.clip(1 - score, 1e-6, 1))
    return LogisticRegression(C=math.inf).fit(logit.reshape(-1, 1), truth).coef_[0, 0]


def _ppv_at_half_sensitivity(truth: np.ndarray, score: np.ndarray) -> float:
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(truth[order])
    flagged = int(np.searchsorted(found, math.ceil(found[-1] / 2))) + 1
    return found[flagged - 1] / flagged
