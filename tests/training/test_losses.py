"""Losses and metrics, against values calculated by hand and by scikit-learn."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score

from pipeline.evaluation.label_set_metrics import image_losses
from pipeline.evaluation.metrics import log_loss
from pipeline.training.losses import (
    BalancedAccuracy,
    label_set_metrics,
    loss_function,
    running_metrics,
)
from pipeline.training.training_config import TrainingConfig

LABELS = np.array([0, 1, 2, 0])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], np.float32
)
SECOND = np.array([[0.9], [0.2], [0.6]], np.float32)
IS_SECOND = np.array([[1.0], [0.0], [0.0]], np.float32)


def loss(value: Any, *, label_smoothing: float = 0.0) -> Any:
    return loss_function(TrainingConfig(loss=value).loss, label_smoothing=label_smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_cross_entropy_is_what_its_definition_gives(smoothing: float) -> None:
    targets = ONE_HOT * (1 - smoothing) + smoothing / 3
    expected = np.sum(-targets * (1 - PROBABILITIES) ** 1.5 * np.log(PROBABILITIES), axis=1).mean()
    focal = loss({"focal_cross_entropy": {"gamma": 1.5}}, label_smoothing=smoothing)
    assert float(focal(ONE_HOT, PROBABILITIES)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_focal_cross_entropy_is_what_its_definition_gives(smoothing: float) -> None:
    targets = IS_SECOND * (1 - smoothing) + smoothing / 2
    of_truth = targets * SECOND + (1 - targets) * (1 - SECOND)
    entropy = -targets * np.log(SECOND) - (1 - targets) * np.log(1 - SECOND)
    expected = ((1 - of_truth) ** 2 * entropy).mean()
    focal = loss("binary_focal_cross_entropy", label_smoothing=smoothing)
    assert float(focal(IS_SECOND, SECOND)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "targets", "predictions"),
    [("cross_entropy", ONE_HOT, PROBABILITIES), ("binary_cross_entropy", IS_SECOND, SECOND)],
)
def test_without_focusing_it_is_cross_entropy(
    name: str, targets: np.ndarray, predictions: np.ndarray
) -> None:
    focal = {name.replace("cross_entropy", "focal_cross_entropy"): {"gamma": 0}}
    values = [float(loss(one, label_smoothing=0.1)(targets, predictions)) for one in (name, focal)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_asymmetric_cross_entropy_is_what_its_definition_gives(smoothing: float) -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    lowered = np.maximum(PROBABILITIES[:2] - 0.1, 0)
    positive = (1 - PROBABILITIES[:2]) ** 0.5 * np.log(PROBABILITIES[:2])
    negative = lowered**3 * np.log(1 - lowered)
    targets = labels * (1 - smoothing) + smoothing / 2
    expected = -(targets * positive + (1 - targets) * negative).mean()
    section = {"gamma_positive": 0.5, "gamma_negative": 3.0, "clip": 0.1}
    asymmetric = loss({"asymmetric_cross_entropy": section}, label_smoothing=smoothing)
    assert float(asymmetric(labels, PROBABILITIES[:2])) == pytest.approx(expected, rel=1e-5)


def test_without_focusing_asymmetric_cross_entropy_is_binary_cross_entropy() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    section = {"gamma_negative": 0.0, "clip": 0.0}
    values = [
        float(loss(one)(labels, PROBABILITIES[:2]))
        for one in ({"asymmetric_cross_entropy": section}, "binary_cross_entropy")
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_its_gradient_is_finite_where_a_class_is_impossible() -> None:
    outputs = tf.Variable([[0.0, 0.01, 1.0]])
    with tf.GradientTape() as tape:
        value = loss("asymmetric_cross_entropy")(tf.constant([[0.0, 0.0, 1.0]]), outputs)
    assert np.isfinite(tape.gradient(value, outputs)).all()


def test_the_name_alone_means_a_gamma_of_2() -> None:
    focal, with_gamma = loss("focal_cross_entropy"), loss({"focal_cross_entropy": {"gamma": 2.0}})
    assert float(focal(ONE_HOT, PROBABILITIES)) == float(with_gamma(ONE_HOT, PROBABILITIES))


def test_balanced_accuracy_over_batches_is_that_of_scikit_learn() -> None:
    metric = BalancedAccuracy(4)  # the last class has no image
    probabilities = np.pad(PROBABILITIES, ((0, 0), (0, 1)))
    for part in (slice(0, 3), slice(3, 4)):
        metric.update_state(np.eye(4, dtype=np.float32)[LABELS[part]], probabilities[part])
    expected = balanced_accuracy_score(LABELS, PROBABILITIES.argmax(axis=1))
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_balanced_accuracy_of_one_sigmoid_unit() -> None:
    metric = BalancedAccuracy(2)
    metric.update_state(keras.ops.array(IS_SECOND), keras.ops.array(SECOND))
    assert float(metric.result()) == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize(
    ("activation", "labels", "probabilities"),
    [
        ("sigmoid", [[0.8], [0.3], [1.0], [0.0]], [[0.9], [0.9], [0.6], [0.2]]),
        (
            "softmax",
            [[0.2, 0.8], [0.7, 0.3], [0.0, 1.0], [1.0, 0.0]],
            [[0.1, 0.9], [0.1, 0.9], [0.4, 0.6], [0.8, 0.2]],
        ),
    ],
)
def test_the_accuracy_of_a_mixed_label_is_that_of_its_larger_part(
    activation: str, labels: list[list[float]], probabilities: list[list[float]]
) -> None:
    accuracy, *_ = running_metrics(activation, classes=2, top_k=None)
    accuracy.update_state(np.array(labels, np.float32), np.array(probabilities, np.float32))
    assert float(accuracy.result()) == 0.75


def test_the_log_loss_of_several_labels_is_that_of_the_evaluation() -> None:
    labels = np.array([[1, 0], [0, 1]], bool)
    outputs = np.array([[0.0, 1.0], [0.25, 0.75]], np.float32)
    (metric,) = label_set_metrics()
    metric.update_state(labels.astype(np.float32), outputs)
    assert float(metric.result()) == pytest.approx(image_losses(labels, outputs).mean(), rel=1e-6)


def test_the_log_loss_is_limited_as_in_the_evaluation() -> None:
    expected = log_loss(np.array([0, 1]), np.array([[0.0, 1.0], [0.25, 0.75]])).value
    for output, labels, outputs in (
        ("softmax", [[1, 0], [0, 1]], [[0.0, 1.0], [0.25, 0.75]]),
        ("sigmoid", [[0], [1]], [[1.0], [0.75]]),
    ):
        _, metric, *_ = running_metrics(output, classes=2, top_k=None)
        metric.update_state(np.array(labels, np.float32), np.array(outputs, np.float32))
        assert metric.name == "log_loss"
        assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
