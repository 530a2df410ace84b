"""How good probabilities are, as numbers with stable names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import metrics

from pipeline.evaluation import intervals

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CALIBRATION_BINS = 15


def predict_probabilities(model: keras.Model, batches: tf.data.Dataset) -> np.ndarray:
    """Return the model's probabilities, float64 (n, classes), rows summing to 1."""
    return to_probabilities(model.predict(batches, verbose=0))


def to_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return what a model gave, (n, units), as probabilities, float64 (n, classes), that sum to 1.

    One sigmoid unit p becomes the two columns 1 - p and p.
    """
    output = np.asarray(outputs, np.float64)
    if output.shape[1] == 1:
        output = np.hstack([1 - output, output])
    return output / output.sum(axis=1, keepdims=True)


def classification_metrics(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    class_names: Sequence[str],
    top_k: int | None = None,
) -> dict[str, float]:
    """Return the metrics of probabilities against the truth.

    Args:
        labels: int (n,).
        predicted: probabilities (n, classes).
        class_names: in the order of the labels.
        top_k: also the share of images whose class is among the k most probable.

    Returns:
        `accuracy`, `log_loss`, `ece`, `roc_auc` (one against the rest, averaged over classes;
        absent where a class has no image), `precision`, `recall` and `f1` each as `_macro` and
        `_weighted`, `top_{k}_accuracy`, and for each class `{metric}/{class}`. The bounds of the
        95 % interval of `accuracy`, `top_{k}_accuracy` and `log_loss` are `{metric}_low` and
        `{metric}_high`.
    """
    classes = np.arange(len(class_names))
    chosen = predicted.argmax(axis=1)
    bounded = {
        "accuracy": intervals.proportion_interval(int(np.sum(chosen == labels)), len(labels)),
        "log_loss": intervals.mean_interval(log_losses(labels, predicted)),
    }
    found = {"ece": expected_calibration_error(labels, predicted)}
    if len(np.unique(labels)) == len(classes):
        found["roc_auc"] = _roc_auc(labels, predicted)
    if top_k:
        ranks = (predicted > predicted[np.arange(len(labels)), labels][:, None]).sum(axis=1)
        among = int(np.sum(ranks < top_k))
        bounded[f"top_{top_k}_accuracy"] = intervals.proportion_interval(among, len(labels))
    options: dict[str, Any] = {"labels": classes, "zero_division": 0}
    for average in ("macro", "weighted"):
        values = metrics.precision_recall_fscore_support(labels, chosen, average=average, **options)
        for name, value in zip(("precision", "recall", "f1"), values, strict=False):
            found[f"{name}_{average}"] = float(value)
    by_class = metrics.precision_recall_fscore_support(labels, chosen, average=None, **options)
    for name, values in zip(("precision", "recall", "f1"), by_class, strict=False):
        for class_name, value in zip(class_names, values, strict=True):
            found[f"{name}/{class_name}"] = float(value)
    for name, interval in bounded.items():
        found |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return found


def log_losses(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return minus the logarithm of the probability that each image's class was given, (n,)."""
    given = predicted[np.arange(len(labels)), labels]
    return -np.log(given.clip(np.finfo(predicted.dtype).eps))


def expected_calibration_error(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean distance of confidence from accuracy over 15 equal bins (Guo et al., 2017).

    Args:
        labels: int (n,).
        predicted: probabilities (n, classes).
    """
    counts, confidence, accuracy = calibration(labels, predicted)
    return float(np.sum(counts * np.abs(accuracy - confidence)) / counts.sum())


def calibration(
    labels: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the images, the mean confidence and the accuracy in each of 15 bins of confidence."""
    confidence = predicted.max(axis=1)
    right = predicted.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [np.bincount(bins, values, CALIBRATION_BINS) for values in (confidence, right)]
    mean_confidence, accuracy = (sum_ / counts.clip(1) for sum_ in sums)
    return counts, mean_confidence, accuracy


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return how many images of each class (rows) were taken for each class (columns)."""
    classes = np.arange(predicted.shape[1])
    return np.asarray(metrics.confusion_matrix(labels, predicted.argmax(axis=1), labels=classes))


def _roc_auc(labels: np.ndarray, predicted: np.ndarray) -> float:
    if predicted.shape[1] == 2:
        return float(metrics.roc_auc_score(labels, predicted[:, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(metrics.roc_auc_score(labels, predicted, multi_class="ovr"))
