"""Classification metrics of predicted probabilities.

To add a metric, write a function of labels, int (n,), and probabilities, (n, classes), and give it
a name in `METRICS`. Its value is logged for every split, shown in the report and compared.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import metrics

from pipeline.evaluation.intervals import (
    ConfidenceInterval,
    mean_interval,
    mean_proportion_interval,
    proportion_interval,
)

CALIBRATION_BINS = 15
_OF_CLASSES = ("precision", "recall", "f1")
_AVERAGES = ("macro", "weighted")
_UNLIMITED = (
    *("best_epoch", "diverged_epoch", "near_best_epochs"),
    *(f"{split}_{name}" for split in ("val", "test") for name in ("log_loss", "duplicates")),
    *(f"{split}_{name}" for split in ("val", "test") for name in ("mae", "mse", "rmse")),
)
_ROWS = 1024  # images that are compared at once
_BLOCK = 64  # classes whose probabilities are copied at once

# A number, a number with its 95 % interval, or None where the metric is undefined.
Metric = Callable[[np.ndarray, np.ndarray], float | ConfidenceInterval | None]


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> ConfidenceInterval:
    return proportion_interval(int(np.sum(probabilities.argmax(axis=1) == labels)), len(labels))


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> ConfidenceInterval:
    """Return the mean recall of the classes that have images."""
    images = np.bincount(labels, minlength=probabilities.shape[1])
    is_correct = probabilities.argmax(axis=1) == labels
    correct = np.bincount(labels[is_correct], minlength=len(images))
    return mean_proportion_interval(correct[images > 0], images[images > 0])


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, k: int) -> ConfidenceInterval:
    """Return the share of images whose class is among the k most probable ones.

    Of equally probable classes the last ones count, as in scikit-learn.
    """
    classes, count = np.arange(probabilities.shape[1]), 0
    for start in range(0, len(labels), _ROWS):
        rows, own = probabilities[start : start + _ROWS], labels[start : start + _ROWS, np.newaxis]
        likelihood = np.take_along_axis(rows, own, axis=1)
        is_before = (rows > likelihood) | ((rows == likelihood) & (classes > own))
        count += int(np.sum(is_before.sum(axis=1) < k))
    return proportion_interval(count, len(labels))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> ConfidenceInterval:
    return mean_interval(log_losses(labels, probabilities))


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of each image's class, (n,)."""
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(likelihood.clip(np.finfo(np.float64).eps))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean gap between confidence and accuracy over 15 equal bins (Guo et al., 2017)."""
    counts, confidence, bin_accuracy = calibration(labels, probabilities)
    return float(np.sum(counts * np.abs(bin_accuracy - confidence)) / counts.sum())


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Return the area under the ROC curve, one class against the rest, averaged over classes.

    Classes without an image are left out. It is None if fewer than two have one.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return None
    if probabilities.shape[1] == 2:
        return float(metrics.roc_auc_score(labels, probabilities[:, 1]))
    areas = []
    for start in range(0, len(present), _BLOCK):
        block = present[start : start + _BLOCK]
        scores = np.ascontiguousarray(probabilities[:, block].T)
        areas += [_area(row, labels == label) for row, label in zip(scores, block, strict=True)]
    return float(np.mean(areas))


def _area(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the area under the ROC curve, by the ranks of the positives (Mann and Whitney).

    Unlike scikit-learn's, it takes no pass over all images for each threshold.
    """
    positives, ordered = scores[is_positive], np.sort(scores)
    below = np.searchsorted(ordered, positives, "left")
    up_to = np.searchsorted(ordered, positives, "right")
    ranks = (below + up_to + 1) / 2  # of equal ones the mean
    count = len(positives)
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "log_loss": log_loss,
    "ece": expected_calibration_error,
    "roc_auc": roc_auc,
}


def is_overall(name: str) -> bool:
    """Return whether a metric is neither a bound of another one nor of one class or epoch."""
    return "/" not in name and not name.endswith(("_low", "_high"))


def overall_metrics_of_all(runs: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the names of the overall metrics that all of several runs have."""
    return [name for name in runs[0] if is_overall(name) and all(name in run for run in runs)]


def metric_limits(name: str) -> tuple[float, float]:
    """Return the least and the greatest value that a final metric of a run can have.

    A loss, an epoch and a number of images have no upper limit, and R² has no lower one; all other
    metrics are shares.
    """
    if name.endswith("_r2"):
        return -math.inf, 1.0
    return 0.0, math.inf if name in _UNLIMITED else 1.0


def classification_metrics(
    labels: np.ndarray, probabilities: np.ndarray, *, top_k: int | None = None
) -> dict[str, float]:
    """Return every metric by name.

    Args:
        labels: int (n,).
        probabilities: (n, classes).
        top_k: adds `top_{k}_accuracy`.

    Returns:
        The metrics of `METRICS`, except undefined ones, and precision, recall and F1 as averages
        over the classes that have images, `{name}_macro` and `{name}_weighted`. A metric with a
        95 % interval has its bounds in `{name}_low` and `{name}_high`.
    """
    table = dict(METRICS)
    if top_k:
        table[f"top_{top_k}_accuracy"] = functools.partial(top_k_accuracy, k=top_k)
    values: dict[str, float] = {}
    for name, metric in table.items():
        value = metric(labels, probabilities)
        if isinstance(value, ConfidenceInterval):
            values |= value.metrics(name)
        elif value is not None:
            values[name] = value
    for average in _AVERAGES:
        averages = _precision_recall_f1(labels, probabilities, average)
        values |= {f"{name}_{average}": value for name, value in averages.items()}
    return values


def single_metric(name: str, labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Return one of the metrics of `classification_metrics`, None where it is undefined.

    Raises:
        KeyError: if there is no such metric.
    """
    of_top_k = re.fullmatch(r"top_(\d+)_accuracy", name)
    if name in METRICS or of_top_k:
        found = functools.partial(top_k_accuracy, k=int(of_top_k[1])) if of_top_k else METRICS[name]
        result = found(labels, probabilities)
        return result.value if isinstance(result, ConfidenceInterval) else result
    metric, _, average = name.partition("_")
    if average not in _AVERAGES:
        raise KeyError(name)
    return _precision_recall_f1(labels, probabilities, average)[metric]


def _precision_recall_f1(
    labels: np.ndarray, probabilities: np.ndarray, average: str
) -> dict[str, float]:
    """Return the averages of precision, recall and F1 over the classes that have images."""
    averages = metrics.precision_recall_fscore_support(
        labels,
        probabilities.argmax(axis=1),
        labels=np.unique(labels),
        average=average,
        zero_division=0,
    )
    return {name: float(value) for name, value in zip(_OF_CLASSES, averages, strict=False)}


def calibration(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the images, the mean confidence and the accuracy in each of 15 confidence bins."""
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [np.bincount(bins, values, CALIBRATION_BINS) for values in (confidence, is_correct)]
    mean_confidence, bin_accuracy = (sum_ / counts.clip(1) for sum_ in sums)
    return counts, mean_confidence, bin_accuracy
