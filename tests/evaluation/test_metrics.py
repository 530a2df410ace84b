"""Metrics, against values calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import (
    classification_metrics,
    expected_calibration_error,
    single_metric,
    top_k_accuracy,
)

LABELS = np.array([0, 0, 1, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.3, 0.6, 0.1],  # incorrect, second guess correct
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.1, 0.2, 0.7],
        [0.6, 0.3, 0.1],  # incorrect, third guess correct
    ]
)


def test_a_single_metric_is_that_of_all_metrics(values: dict[str, float]) -> None:
    names = [name for name in values if not name.endswith(("_low", "_high"))]
    assert names
    for name in names:
        assert single_metric(name, LABELS, PROBABILITIES) == values[name]


def test_a_single_metric_may_be_undefined() -> None:
    assert single_metric("roc_auc", np.zeros(6, int), PROBABILITIES) is None


@pytest.mark.parametrize("name", ["loss", "f1", "f1_micro", "f1/bee"])
def test_an_unknown_single_metric_is_an_error(name: str) -> None:
    with pytest.raises(KeyError):
        single_metric(name, LABELS, PROBABILITIES)


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    return classification_metrics(LABELS, PROBABILITIES, top_k=2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 4 / 6),
        ("balanced_accuracy", 2 / 3),
        ("top_2_accuracy", 5 / 6),
        ("precision_macro", (1 / 2 + 2 / 3 + 1) / 3),
        ("recall_macro", 2 / 3),
        ("f1_macro", (1 / 2 + 0.8 + 2 / 3) / 3),
        ("f1_weighted", (1 / 2 + 0.8 + 2 / 3) / 3),
        ("log_loss", -np.log([0.8, 0.3, 0.7, 0.8, 0.7, 0.1]).mean()),
    ],
)
def test_each_metric_is_what_its_definition_gives(
    values: dict[str, float], name: str, expected: float
) -> None:
    assert values[name] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "top_2_accuracy", "log_loss"])
def test_a_metric_lies_within_its_interval(values: dict[str, float], name: str) -> None:
    assert values[f"{name}_low"] < values[name] < values[f"{name}_high"]


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_have_images() -> None:
    labels = np.array([0, 0, 0, 0, 1])
    values = classification_metrics(labels, PROBABILITIES[:5])
    assert values["balanced_accuracy"] == pytest.approx((1 / 4 + 0) / 2)


def test_roc_auc_of_two_classes_counts_the_pairs_in_order() -> None:
    second = np.array([0.1, 0.4, 0.35, 0.8])
    values = classification_metrics(np.array([0, 0, 1, 1]), np.stack([1 - second, second], axis=1))
    assert values["roc_auc"] == pytest.approx(3 / 4)


def test_averages_leave_out_classes_without_an_image() -> None:
    values = classification_metrics(np.array([0, 1, 0, 1]), PROBABILITIES[:4])
    assert values["precision_macro"] == pytest.approx((1 + 2 / 3) / 2)
    assert values["recall_macro"] == pytest.approx((1 / 2 + 1) / 2)
    assert values["roc_auc"] == pytest.approx(3 / 4)  # of both classes


def test_there_is_no_roc_auc_where_one_class_only_has_images() -> None:
    assert "roc_auc" not in classification_metrics(np.zeros(6, int), PROBABILITIES)


def test_calibration_is_the_distance_of_confidence_from_accuracy() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10)
    labels = np.array([0] * 7 + [1] * 3)
    assert expected_calibration_error(labels, probabilities) == pytest.approx(0.2)


def test_confident_and_correct_is_calibrated() -> None:
    assert expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0.0


def test_every_metric_of_the_table_is_returned_and_undefined_ones_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def error_rate(labels: np.ndarray, probabilities: np.ndarray) -> float:
        return float(np.mean(probabilities.argmax(axis=1) != labels))

    table = {"error_rate": error_rate, "undefined": lambda labels, probabilities: None}
    monkeypatch.setattr(metrics, "METRICS", table)
    values = classification_metrics(LABELS, PROBABILITIES)
    assert values["error_rate"] == pytest.approx(2 / 6)
    assert not {"undefined", "accuracy"} & set(values)


def test_roc_auc_of_many_classes_is_that_of_scikit_learn_with_ties_too() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(0, 5, (300, 70)) / 4
    labels = generator.integers(0, 69, 300)  # the last class has no image
    expected = np.mean([roc_auc_score(labels == c, probabilities[:, c]) for c in np.unique(labels)])
    assert metrics.roc_auc(labels, probabilities) == pytest.approx(expected)


def test_ties_in_top_k_are_counted_as_scikit_learn_counts_them() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(0, 3, (200, 5)) / 4
    labels = generator.integers(0, 5, 200)
    for k in (1, 2, 4):
        expected = top_k_accuracy_score(labels, probabilities, k=k, labels=range(5))
        assert top_k_accuracy(labels, probabilities, k=k).value == expected
