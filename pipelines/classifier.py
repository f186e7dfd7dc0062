"""The classifier: trained on simulated worlds whose truth is known, never on the rules and never on the study.

A world of its own is drawn with its own seed and run through the same steps in a warehouse of its own. The model is
kept by fingerprint, so a study trains once. Its target is the question itself: would pain have been at least half a
point lower had the dose been held?
"""

import json
import math
import shutil
import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from pipelines import paths, simulator, tables, warehouse
from pipelines.errors import StudyError
from pipelines.study import Source, Study, Training, require_truth
from pipelines.warehouse import Connection
from pipelines.workspace import Workspace

TARGET = "y_escalation"
FOLDS = 5
RESAMPLES = 500
CELLS_AT_A_TIME = 2_000_000  # episodes times resamples, to bound memory
NEWTON_STEPS = 50
# Modules that come after the model or beside it, so that a new page layout does not train anew.
LEARNED_FROM = ("1_reference", "1_reference/macros", "2_clean/simulated", "3_*", "4_*")
NOT_LEARNED_FROM = {"checks", "cli", "definitions", "defs", "disclosure", "reporting", "run", "workspace"}
NOT_LEARNED_FROM |= {"data_dictionary", "drift", "explanation", "identifiers", "mme", "odcs", "quality", "quarantine"}
NOT_LEARNED_FROM |= {"reference_pages", "source_draft", "specification", "trajectory_class"}

SIMULATED = "simulated truth of this study"
CROSS_VALIDATED = "simulated training world, cross-validated by patient"

Metrics = list[dict[str, Any]]


def build_score(connection: Connection, study: Study) -> pl.DataFrame:
    """Score every episode that can be judged; grain: one row per episode of ``episode.feature``."""
    feature = connection.sql("from episode.feature order by episode_id").pl()
    if feature.is_empty():  # nothing to score, so nothing to train for
        return pl.DataFrame(
            schema={"episode_id": pl.String, "oih_probability": pl.Float64, "model_fingerprint": pl.String}
        )
    trained_model = trained(study)
    return feature.select(
        "episode_id",
        # Rounded, because sums in the features may differ in their last binary digit from run to run.
        oih_probability=pl.Series(trained_model["model"].probability(_matrix(feature))).round(6),
        model_fingerprint=pl.lit(trained_model["fingerprint"]),
    )


def build_model_metric(connection: Connection, study: Study) -> pl.DataFrame:
    """Metrics against simulated truth: of the training world always, of the study where it has a truth folder."""
    number, text = pl.Float64(), pl.String()
    schema: dict[str, pl.DataType] = {"metric": text, "value": number, "lower": number, "upper": number}
    schema |= {"evaluated_on": text, "meaning": text}
    if warehouse.count(connection, "label.score") == 0:
        return pl.DataFrame(schema=schema)
    metrics = trained(study)["metrics"]
    scored = _scored_truth(connection, study)
    if scored is not None:
        metrics = metrics + _metrics(scored.with_columns(weight=1.0), SIMULATED)
    return pl.DataFrame(metrics, schema=schema)


def build_reliability(connection: Connection, study: Study) -> pl.DataFrame:
    """Predicted against observed in ten bins of equal size; empty where no truth is known."""
    schema: dict[str, pl.DataType] = {"bin": pl.Int32(), "episode_count": pl.Int64(), "patient_count": pl.Int64()}
    schema |= {"mean_predicted": pl.Float64(), "observed_share": pl.Float64()}
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
    code = [file for step in LEARNED_FROM for file in paths.SQL.glob(f"{step}/*.*")]
    package = Path(__file__).parent
    code += [
        file
        for file in package.rglob("*.py")
        if not NOT_LEARNED_FROM & {*file.relative_to(package).with_suffix("").parts}
    ]
    parts = [paths.fingerprint(code), json.dumps(study.parameters, sort_keys=True), study.training.model_dump_json()]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def _train(study: Study, folder: Path) -> dict[str, Any]:
    """Train on a world rich in hyperalgesia, weighted back to the share that the study assumes.

    True cases are rare, so a world with the assumed share would teach little for its size.
    """
    training = study.training
    world = simulator.World(randomise=True, prevalence=training.simulated_prevalence)
    simulator.write(simulator.simulate(training.patient_count, training.seed, world), folder)
    labelled = _labelled_world(study, folder)
    shutil.rmtree(folder)
    matrix, truth = _matrix(labelled), labelled[TARGET].to_numpy()
    weight, patient = labelled["weight"].to_numpy(), labelled["patient_index"].to_numpy()
    out_of_fold = np.empty(len(truth))
    try:
        for learn, judge in _patient_splits(matrix, truth, patient):
            fold = Model.fit(matrix[learn], truth[learn], weight[learn], patient[learn])
            out_of_fold[judge] = fold.probability(matrix[judge])
        model = Model.fit(matrix, truth, weight, patient)
    except TooFewError:
        raise StudyError(
            f"training.patient_count: {training.patient_count} simulated patients have too few episodes to learn from "
            f"({len(truth)}, {truth.sum()} of them true cases). Raise it; the default is "
            f"{Training.model_fields['patient_count'].default:,}."
        ) from None
    scored = labelled.select("patient_index", TARGET, "weight").with_columns(oih_probability=pl.Series(out_of_fold))
    return {
        "model": model,
        "metrics": _metrics(scored, CROSS_VALIDATED),
    }


class TooFewError(ValueError):
    """There are too few episodes of one class to learn from."""


@dataclass(frozen=True)
class Model:
    """L2 logistic regression on smooth terms of pre-specified features, and the sigmoid that calibrates it.

    True cases are too few for more: boosted trees did worse in the same folds (CHANGELOG.md has the figures). The
    sigmoid is fitted on scores of patients that the regression did not see, with the weights of the assumed
    prevalence; ``CalibratedClassifierCV`` smooths its targets by unweighted counts, which doubled the probabilities.
    """

    regression: Pipeline
    sigmoid: LogisticRegression

    @classmethod
    def fit(cls, matrix: np.ndarray, truth: np.ndarray, weight: np.ndarray, patient: np.ndarray) -> "Model":
        regression = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            SplineTransformer(n_knots=4, degree=2),
            StandardScaler(),
            LogisticRegression(C=0.03, max_iter=1000),
        )
        splits = _patient_splits(matrix, truth, patient)
        unseen = cross_val_predict(regression, matrix, truth, cv=splits, method="decision_function")
        sigmoid = LogisticRegression(C=math.inf).fit(unseen.reshape(-1, 1), truth, sample_weight=weight)
        return cls(regression.fit(matrix, truth), sigmoid)

    def probability(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of each row of the matrix that pain rose because the dose rose."""
        return self.sigmoid.predict_proba(self.regression.decision_function(matrix).reshape(-1, 1))[:, 1]


def _patient_splits(matrix: np.ndarray, truth: np.ndarray, patient: np.ndarray) -> list[tuple[Any, Any]]:
    """Folds that keep the episodes of a patient together.

    Raises:
        TooFewError: Some fold would be left with nothing to tell apart.
    """
    counts = np.bincount(truth.astype(int), minlength=2)
    if not counts.all() or max(counts) < FOLDS or len(np.unique(patient)) < FOLDS:
        raise TooFewError
    with warnings.catch_warnings():  # of folds without a case; it is the others that are learnt from
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splits = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(matrix, truth, patient))
    if any(len(np.unique(truth[learn])) < 2 for learn, _ in splits):
        raise TooFewError
    return splits


def _labelled_world(study: Study, folder: Path) -> pl.DataFrame:
    """Run a world through the steps up to the features; give features, truth and weight of each episode."""
    world = study.model_copy(
        update={
            "sources": {"simulated": Source(folder=folder / "extract")},
            "output": folder,
            "truth": folder / "truth",
        }
    )
    with warehouse.opened(folder / "warehouse.duckdb", [folder / "extract"], study.memory_limit) as connection:
        for table in tables.needed_for("episode.feature", tables.of(world)):
            table.build(connection, world)
        labelled = _labelled(connection.sql("from episode.feature").pl(), _truth(connection, folder / "truth"))
    drawn, assumed = study.training.simulated_prevalence, study.training.assumed_prevalence
    is_oih = pl.col("true_class") == "oih"
    weight = pl.when(is_oih).then(assumed / drawn).otherwise((1 - assumed) / (1 - drawn))
    return labelled.with_columns(weight=weight).drop("true_class")


def _truth(connection: Connection, folder: Path) -> pl.DataFrame:
    """Truth of every episode whose index date is an escalation of the simulator; grain: episode."""
    patient = pl.read_csv(folder / "patient.csv", columns=["patient_id", "true_class"])
    truth = pl.read_csv(folder / "escalation.csv", try_parse_dates=True).join(patient, on="patient_id")
    truth = truth.with_columns(patient_id=pl.lit("simulated:") + pl.col("patient_id"))
    episode = connection.sql(
        "select episode_id, patient_id, index_date from episode.episode left join clean.patient using (patient_index) "
        "where index_kind = 'dose_led'"
    ).pl()
    return episode.join(truth, on=["patient_id", "index_date"]).select("episode_id", TARGET, "true_class")


def _labelled(feature: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Features of the episodes whose truth is known.

    An index date that is no escalation of the simulator (an early refill, say) has no truth and is left out.
    """
    return feature.join(truth, on="episode_id").sort("episode_id")


def _scored_truth(connection: Connection, study: Study) -> pl.DataFrame | None:
    if study.truth is None:
        return None
    require_truth(study)
    score = connection.sql(
        "select episode_id, patient_index, oih_probability from label.score join episode.episode using (episode_id)"
    ).pl()
    return _labelled(score, _truth(connection, study.truth)).drop("true_class")


def _matrix(feature: pl.DataFrame) -> np.ndarray:
    known = ("episode_id", "patient_index", "index_kind", TARGET, "weight")
    return feature.select(sorted(set(feature.columns) - set(known))).cast(pl.Float64).to_numpy()


def _metrics(scored: pl.DataFrame, evaluated_on: str) -> Metrics:
    """Discrimination and calibration with 95 % intervals from resampling patients.

    Args:
        scored: patient_index, y_escalation, oih_probability and weight of each episode.
    """
    truth, score, weight = (scored[name].to_numpy() for name in (TARGET, "oih_probability", "weight"))
    counts = [
        _metric("episodes", len(truth), evaluated_on, "Episodes whose truth is known"),
        _metric("true_cases", truth.sum(), evaluated_on, "Of these, pain rose because the dose rose"),
    ]
    if len(np.unique(truth)) < 2:  # nothing to tell apart
        return counts
    patients, position = np.unique(scored["patient_index"].to_numpy(), return_inverse=True)
    rng = np.random.default_rng(0)
    draws = (
        np.bincount(rng.integers(len(patients), size=len(patients)), minlength=len(patients)) for _ in range(RESAMPLES)
    )
    weights = np.array([weight * draw[position] for draw in draws])
    tells_apart = (weights @ truth > 0) & (weights @ (1 - truth) > 0)
    resamples = weights[tells_apart]
    parts = np.array_split(resamples, resamples.size // CELLS_AT_A_TIME + 1)
    found = []
    for name, (measure, meaning) in MEASURES.items():
        [value] = measure(truth, score, weight[np.newaxis])
        spread = np.concatenate([measure(truth, score, part) for part in parts if len(part)])
        lower, upper = np.quantile(spread, [0.025, 0.975])
        found.append(_metric(name, value, evaluated_on, meaning, lower, upper))
    return found + counts


def _metric(
    name: str, value: float, on: str, meaning: str, lower: float | None = None, upper: float | None = None
) -> dict[str, Any]:
    limits = {"lower": None if lower is None else float(lower), "upper": None if upper is None else float(upper)}
    return {"metric": name, "value": float(value), **limits, "evaluated_on": on, "meaning": meaning}


# Each measure takes one row of weights per resample and gives one value per row: hundreds of fits of a general
# library, one by one, were most of the time of a study.


def _auroc(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    cases, others = _by_score(truth, score, weights)
    lower = np.cumsum(others, axis=1) - others / 2  # a tie is half in the right order
    return (cases * lower).sum(axis=1) / (cases.sum(axis=1) * others.sum(axis=1))


def _average_precision(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    cases, others = (np.flip(found, axis=1) for found in _by_score(truth, score, weights))
    flagged = np.cumsum(cases + others, axis=1)
    precision = np.divide(np.cumsum(cases, axis=1), flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return (cases * precision).sum(axis=1) / cases.sum(axis=1)


def _by_score(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of true cases and of others at each score that occurs, the lowest first."""
    order = np.argsort(score, kind="stable")
    starts = np.unique(score[order], return_index=True)[1]
    case = (weights * truth)[:, order]
    other = (weights * (1 - truth))[:, order]
    return np.add.reduceat(case, starts, axis=1), np.add.reduceat(other, starts, axis=1)


def _brier_score(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ (score - truth) ** 2 / weights.sum(axis=1)


def _prevalence(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ truth / weights.sum(axis=1)


def _observed_to_expected(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights @ truth) / (weights @ score)


def _calibration_slope(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slope of a logistic regression without penalty, by Newton's method, which two coefficients need no library for.

    Where the score separates the classes there is no finite slope; the value is then merely large.
    """
    clipped = np.clip(score, 1e-6, 1 - 1e-6)
    logit = np.log(clipped / (1 - clipped))
    share = _prevalence(truth, score, weights)
    intercept, slope = np.log(share / (1 - share)), np.zeros(len(weights))
    for _ in range(NEWTON_STEPS):
        # The logistic function, which overflows in its usual form.
        probability = (1 + np.tanh((intercept[:, np.newaxis] + slope[:, np.newaxis] * logit) / 2)) / 2
        residual = weights * (truth - probability)
        spread = weights * probability * (1 - probability)
        h0, h1, h2 = spread.sum(axis=1), spread @ logit, spread @ logit**2
        g0, g1 = residual.sum(axis=1), residual @ logit
        determinant = h0 * h2 - h1**2
        is_curved = determinant > 1e-12 * h0 * h2
        scale = np.divide(1, determinant, out=np.zeros_like(determinant), where=is_curved)
        intercept = intercept + (h2 * g0 - h1 * g1) * scale
        step = (h0 * g1 - h1 * g0) * scale
        slope = slope + step
        if np.abs(step).max() < 1e-9:
            break
    return slope


def _ppv_at_half_sensitivity(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-score, kind="stable")
    found, flagged = np.cumsum((weights * truth)[:, order], axis=1), np.cumsum(weights[:, order], axis=1)
    half = (found < found[:, -1:] / 2).sum(axis=1)[:, np.newaxis]
    return (np.take_along_axis(found, half, axis=1) / np.take_along_axis(flagged, half, axis=1))[:, 0]


MEASURES = {
    "auroc": (_auroc, "Share of pairs of a true case and another that the score puts in the right order"),
    "average_precision": (_average_precision, "Area under precision and recall; chance gives the prevalence"),
    "prevalence": (_prevalence, "Share of true cases among the episodes"),
    "ppv_at_half_sensitivity": (_ppv_at_half_sensitivity, "Share of true cases among the flagged, once half are found"),
    "brier_score": (_brier_score, "Mean squared error of the probability"),
    "observed_to_expected": (_observed_to_expected, "True cases over the sum of probabilities; 1 is calibrated"),
    "calibration_slope": (_calibration_slope, "Slope of the truth on the logit of the score; 1 is calibrated"),
}
