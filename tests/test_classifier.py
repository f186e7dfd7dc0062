"""The classifier on frames small enough to see through; the whole of it runs in tests/end_to_end/test_demo.py."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from pipelines import classifier
from pipelines import study as studies
from pipelines.errors import StudyError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(classifier, "RESAMPLES", 20)


def scored(truth, probability, weight=None, patient=None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_index": patient if patient is not None else range(len(truth)),
            "y_escalation": truth,
            "oih_probability": probability,
            "weight": weight if weight is not None else [1.0] * len(truth),
        }
    )


def metric(name: str, frame: pl.DataFrame) -> dict:
    return next(found for found in classifier._metrics(frame, "drawn") if found["metric"] == name)


def test_auroc_is_the_share_of_pairs_in_order():
    frame = scored([1, 1, 0, 0, 0], [0.9, 0.3, 0.5, 0.2, 0.1])
    assert metric("auroc", frame)["value"] == pytest.approx(5 / 6)


def test_a_weighted_episode_counts_as_that_many():
    once = scored([1, 0, 0], [0.5, 0.6, 0.1], weight=[1.0, 2.0, 1.0])
    twice = scored([1, 0, 0, 0], [0.5, 0.6, 0.6, 0.1])
    for name in classifier.MEASURES:
        assert metric(name, once)["value"] == pytest.approx(metric(name, twice)["value"], rel=1e-4), name


def test_ppv_at_half_sensitivity_stops_at_the_flag_that_finds_half():
    frame = scored([0, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert metric("ppv_at_half_sensitivity", frame)["value"] == pytest.approx(1 / 2)


def test_observed_to_expected_is_cases_over_the_sum_of_probabilities():
    assert metric("observed_to_expected", scored([1, 0, 0, 0], [0.2, 0.2, 0.05, 0.05]))["value"] == pytest.approx(2.0)


def test_calibrated_probabilities_have_slope_1():
    probability = RNG.uniform(0.02, 0.98, 5_000)
    truth = (RNG.uniform(size=5_000) < probability).astype(int)
    ones = np.ones((1, 5_000))
    assert classifier._calibration_slope(truth, probability, ones) == pytest.approx(1, abs=0.1)
    overconfident = probability**2 / (probability**2 + (1 - probability) ** 2)
    assert classifier._calibration_slope(truth, overconfident, ones) == pytest.approx(0.5, abs=0.1)


def test_measures_are_those_of_the_library_for_each_row_of_weights():
    score = np.round(RNG.uniform(0.02, 0.6, 300), 2)  # rounded, so that scores are tied
    truth = (RNG.uniform(size=300) < score).astype(int)
    weights = RNG.integers(0, 3, size=(4, 300)) * RNG.uniform(0.1, 1, 300)
    logit = np.log(score / (1 - score)).reshape(-1, 1)
    ours = {name: measure(truth, score, weights) for name, (measure, _) in classifier.MEASURES.items()}
    for row, weight in enumerate(weights):
        fitted = LogisticRegression(C=np.inf, tol=1e-9).fit(logit, truth, sample_weight=weight)
        assert ours["auroc"][row] == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))
        assert ours["brier_score"][row] == pytest.approx(brier_score_loss(truth, score, sample_weight=weight))
        assert ours["calibration_slope"][row] == pytest.approx(fitted.coef_[0, 0], rel=1e-3)
        assert ours["average_precision"][row] == pytest.approx(
            average_precision_score(truth, score, sample_weight=weight)
        )


def test_a_score_that_separates_the_classes_has_a_large_slope_not_a_fault():
    found = metric("calibration_slope", scored([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.8]))
    assert found["lower"] > 5
    assert np.isfinite(found["upper"])


def test_without_a_true_case_only_the_counts_are_told():
    found = {row["metric"]: row["value"] for row in classifier._metrics(scored([0, 0], [0.1, 0.2]), "drawn")}
    assert found == {"episodes": 2, "true_cases": 0}


def test_intervals_resample_patients_not_episodes():
    truth, probability = [1, 0] * 20, [0.6, 0.4] * 20
    truth[0], probability[0] = 1, 0.1
    apart = metric("auroc", scored(truth, probability))
    together = metric("auroc", scored(truth, probability, patient=[0] * 20 + [1] * 20))
    assert apart["value"] == together["value"]
    assert together["upper"] - together["lower"] > 0
    assert (apart["lower"], apart["upper"]) != (together["lower"], together["upper"])


def training_frame(patients: int = 120, signal: float = 2.0) -> tuple[np.ndarray, ...]:
    patient = np.repeat(np.arange(patients), 3)
    matrix = RNG.normal(size=(len(patient), 4))
    truth = (RNG.uniform(size=len(patient)) < 1 / (1 + np.exp(2 - signal * matrix[:, 0]))).astype(int)
    matrix[RNG.uniform(size=matrix.shape) < 0.05] = np.nan
    return matrix, truth, np.ones(len(patient)), patient


def test_no_patient_is_on_both_sides_of_a_split():
    matrix, truth, _, patient = training_frame()
    for learn, judge in classifier._patient_splits(matrix, truth, patient):
        assert not set(patient[learn]) & set(patient[judge])


def test_the_model_finds_a_signal_through_missing_values_and_is_calibrated_to_the_weights():
    matrix, truth, _, patient = training_frame(patients=400)
    weight = np.where(truth == 1, 0.1, 1.0)
    model = classifier.Model.fit(matrix, truth, weight, patient)
    fresh, fresh_truth, _, _ = training_frame(patients=400)
    probability = model.probability(fresh)
    assert classifier._auroc(fresh_truth, probability, np.ones((1, len(fresh)))) > 0.8
    assert classifier._observed_to_expected(
        fresh_truth, probability, np.where(fresh_truth == 1, 0.1, 1.0)[np.newaxis]
    ) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("cases", [0, 1, 2, 3, 5, 57, 58, 60])
def test_too_few_episodes_of_a_class_are_told_and_are_no_bug(cases, tmp_path, monkeypatch):
    frame = pl.DataFrame({"patient_index": range(60), "y_escalation": [1] * cases + [0] * (60 - cases)})
    frame = frame.with_columns(x=pl.Series(RNG.normal(size=60)), weight=pl.lit(1.0), episode_id=pl.lit("e"))
    monkeypatch.setattr(classifier, "_labelled_world", lambda study, folder: frame)
    training = studies.Training(patient_count=400)
    study = studies.Study(
        name="s", title="S", sources={"simulated": {"folder": "x"}}, output=tmp_path, training=training
    )
    monkeypatch.setattr(classifier.simulator, "simulate", lambda *of: None)
    monkeypatch.setattr(classifier.simulator, "write", lambda world, folder: folder.mkdir())
    if 3 <= cases <= 57:
        assert {row["metric"] for row in classifier._train(study, tmp_path / "world")["metrics"]} >= {"auroc"}
        return
    with pytest.raises(StudyError) as refused:
        classifier._train(study, tmp_path / "world")
    assert str(refused.value) == (
        "training.patient_count: 400 simulated patients have too few episodes to learn from "
        f"(60, {cases} of them true cases). Raise it; the default is 10,000."
    )


@pytest.mark.parametrize("episodes", [0, 1, 4, 8])
def test_few_episodes_or_patients_are_told_too(episodes):
    truth, patient = np.arange(episodes) % 2, np.arange(episodes) // 2
    with pytest.raises(classifier.TooFewError):
        classifier.Model.fit(RNG.normal(size=(episodes, 2)), truth, np.ones(episodes), patient)


def test_shuffled_labels_teach_nothing():
    matrix, truth, weight, patient = training_frame(patients=400)
    model = classifier.Model.fit(matrix, RNG.permutation(truth), weight, patient)
    fresh, fresh_truth, ones, _ = training_frame(patients=400)
    assert classifier._auroc(fresh_truth, model.probability(fresh), ones[np.newaxis]) == pytest.approx(0.5, abs=0.15)


def test_the_features_are_what_the_contract_declares_and_nothing_that_names_a_patient():
    feature = pl.DataFrame(
        {"episode_id": ["a"], "patient_index": [1], "y_escalation": [1], "weight": [1.0], "x": [2.0]}
    )
    assert classifier._matrix(feature).tolist() == [[2.0]]


def test_the_model_is_kept_by_what_it_depends_on(tmp_path):
    base = studies.Study(name="s", title="S", sources={"simulated": {"folder": "x"}}, output=tmp_path)
    renamed = base.model_copy(update={"name": "t", "title": "T"})
    other_window = base.model_copy(update={"settings": studies.Settings(response_to_day=80)})
    other_seed = base.model_copy(update={"training": studies.Training(seed=1)})
    assert classifier._fingerprint(renamed) == classifier._fingerprint(base)
    prints = {classifier._fingerprint(study) for study in (base, other_window, other_seed)}
    assert len(prints) == 3
