"""Metrics of images that may have several labels.

The intervals are percentile bootstrap intervals over the images, as in
`pipeline.evaluation.intervals`. A resample is the number of times that each image is drawn, so that
every metric is computed for all resamples at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pipeline.evaluation.class_metrics import ClassMetrics, label_set_class_metrics
from pipeline.evaluation.intervals import ConfidenceInterval, mean_interval, proportion_interval

CLASS_METRICS = ("average_precision", "precision", "recall", "f1")

_AVERAGES = ("micro", "macro")
_RESAMPLES = 2000
_MIN_RESAMPLES = 100
_MAX_WORK = 60_000_000  # images times labels times resamples, some seconds
_BLOCK = 16_000_000  # counts in memory
_SEED = 0
_QUANTILES = (0.025, 0.975)
_MIN_LIKELIHOOD = float(np.finfo(np.float64).eps)

# Draws of each image, (resamples, n) → a metric of each resample, (resamples,).
_Metric = Callable[[np.ndarray], np.ndarray]


def image_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the mean binary cross-entropy of the labels of each image, (n,).

    Args:
        labels: bool (n, classes).
        probabilities: float (n, classes).
    """
    likelihood = np.where(labels, probabilities, 1 - probabilities)
    return np.asarray(-np.log(likelihood.clip(_MIN_LIKELIHOOD)).mean(axis=1))


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the average precision of each label, (classes,); NaN of a label that no image has.

    It is the area under the precision-recall curve without interpolation, as in scikit-learn.
    """
    once = np.ones((1, len(labels)))
    columns = zip(labels.T, probabilities.T, strict=True)
    return np.array([_average_precision(once, *column)[0] for column in columns])


def choose_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the threshold of each label with the highest F1, (classes,).

    It lies halfway between the lowest probability that is reached and the next one below. Of equal
    ones it is the highest. A label that no image has, or every image, has the threshold 0.5.

    Args:
        labels: bool (n, classes), of images that did not train the model.
        probabilities: float (n, classes).
    """
    thresholds = np.full(labels.shape[1], 0.5)
    for label, (is_labeled, scores) in enumerate(zip(labels.T, probabilities.T, strict=True)):
        if is_labeled.any() and not is_labeled.all():
            order = np.argsort(-scores, kind="stable")
            ends = _ends_of_ties(scores[order])
            correct = np.cumsum(is_labeled[order])[ends]
            f1 = 2 * correct / (ends + 1 + is_labeled.sum())
            best = int(np.argmax(f1))
            reached = scores[order][ends[best]]
            below = scores[order][ends[best + 1]] if best + 1 < len(ends) else 0.0
            thresholds[label] = (reached + below) / 2
    return thresholds


def label_set_metrics(
    labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> dict[str, float]:
    """Return every metric by name. Averages leave out labels that no image has.

    Args:
        labels: bool (n, classes).
        probabilities: float (n, classes).
        predicted: bool (n, classes).

    Returns:
        `mean_average_precision`, precision, recall and F1 over all decisions (`_micro`) and as
        averages over the labels (`_macro`), `exact_match`, the share of images all of whose labels
        are right, `hamming_loss`, the share of decisions that are wrong, and `log_loss`. Those with
        a 95 % interval have its bounds in `NAME_low` and `NAME_high`. A metric that is undefined,
        because no image has a label, is left out.
    """
    intervals = {
        "exact_match": proportion_interval(
            int((labels == predicted).all(axis=1).sum()), len(labels)
        ),
        "hamming_loss": mean_interval((labels != predicted).mean(axis=1)),
        "log_loss": mean_interval(image_losses(labels, probabilities)),
    }
    values: dict[str, float] = {}
    for name, metric in _bootstrapped(labels, probabilities, predicted).items():
        interval = _bootstrap(metric, *labels.shape)
        if interval:
            intervals[name] = interval
    for name, interval in intervals.items():
        values |= interval.metrics(name)
    return values | _precision_recall(label_set_class_metrics(labels, predicted))


def average_precision_difference(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray
) -> ConfidenceInterval:
    """Return the mean average precision of the second model minus that of the first.

    Args:
        labels: bool (n, classes), of images that both predicted.
        first: float (n, classes), the probabilities of the first model.
        second: those of the second model.
    """

    def difference(draws: np.ndarray) -> np.ndarray:
        one, other = (
            _mean_average_precision(labels, probabilities, draws)
            for probabilities in (first, second)
        )
        return other - one

    interval = _bootstrap(difference, *labels.shape)
    return interval or ConfidenceInterval(0.0, 0.0, 0.0)  # no image has a label


def label_set_metric(
    name: str, labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> float | None:
    """Return one of the metrics of `label_set_metrics`, None where it is undefined.

    Raises:
        KeyError: if there is no such metric.
    """
    bootstrapped = _bootstrapped(labels, probabilities, predicted)
    if name in bootstrapped:
        value = float(bootstrapped[name](np.ones((1, len(labels))))[0])
        return None if math.isnan(value) else value
    if name == "exact_match":
        return float((labels == predicted).all(axis=1).mean())
    if name == "hamming_loss":
        return float((labels != predicted).mean())
    if name == "log_loss":
        return float(image_losses(labels, probabilities).mean())
    if name not in {f"{one}_{mean}" for one in ("precision", "recall") for mean in _AVERAGES}:
        raise KeyError(name)
    return _precision_recall(label_set_class_metrics(labels, predicted)).get(name)


def label_metric(
    name: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
) -> float | None:
    """Return a metric of one label, such as `recall/sea`; None if no image has it.

    Args:
        name: one of `CLASS_METRICS`, and the name of the label.
        labels: bool (n, classes).
        probabilities: float (n, classes).
        predicted: bool (n, classes).
        class_names: of the labels.
    """
    metric, _, class_name = name.partition("/")
    if metric not in CLASS_METRICS or class_name not in class_names:
        return None
    column = slice(label := list(class_names).index(class_name), label + 1)
    if not labels[:, column].any():
        return None
    if metric == "average_precision":
        return float(average_precision(labels[:, column], probabilities[:, column])[0])
    of_label = label_set_class_metrics(labels[:, column], predicted[:, column])
    return float(np.nan_to_num(getattr(of_label, metric)[0]))


def _bootstrapped(
    labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> dict[str, _Metric]:
    return {
        "mean_average_precision": partial(_mean_average_precision, labels, probabilities),
        "f1_micro": partial(_f1, labels, predicted, is_macro=False),
        "f1_macro": partial(_f1, labels, predicted, is_macro=True),
    }


def _bootstrap(metric: _Metric, images: int, classes: int) -> ConfidenceInterval | None:
    """Return a metric with its interval; None if it is undefined."""
    value = float(metric(np.ones((1, images)))[0])
    if math.isnan(value):
        return None
    resamples = max(min(_RESAMPLES, _MAX_WORK // (images * classes)), _MIN_RESAMPLES)
    generator = np.random.default_rng(_SEED)
    block = max(_BLOCK // images, 1)
    values = []
    for start in range(0, resamples, block):
        size = (min(block, resamples - start), images)
        drawn = generator.integers(images, size=size)
        rows = np.arange(len(drawn))[:, np.newaxis] * images
        counts = np.bincount((drawn + rows).ravel(), minlength=drawn.size).reshape(size)
        values.append(metric(counts.astype(np.float64)))
    low, high = np.nanquantile(np.concatenate(values), _QUANTILES)
    return ConfidenceInterval(value, float(low), float(high))


def _mean_average_precision(
    labels: np.ndarray, probabilities: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    present = np.flatnonzero(labels.any(axis=0)).tolist()
    sums, counts = np.zeros(len(draws)), np.zeros(len(draws))
    for label in present:
        precision = _average_precision(draws, labels[:, label], probabilities[:, label])
        is_defined = ~np.isnan(precision)  # a resample may have no image with the label
        sums[is_defined] += precision[is_defined]
        counts += is_defined
    return np.divide(sums, counts, out=np.full(len(draws), np.nan), where=counts > 0)


def _average_precision(draws: np.ndarray, is_labeled: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the average precision in each resample, (resamples,)."""
    order = np.argsort(-scores, kind="stable")
    ends = _ends_of_ties(scores[order])
    drawn = draws[:, order]
    reached = np.cumsum(drawn, axis=1)[:, ends]
    correct = np.cumsum(drawn * is_labeled[order], axis=1)[:, ends]
    gained = np.diff(correct, axis=1, prepend=0.0)
    total = correct[:, -1]
    area = np.sum(gained * correct / np.maximum(reached, 1), axis=1)
    return np.divide(area, total, out=np.full(len(draws), np.nan), where=total > 0)


def _ends_of_ties(descending: np.ndarray) -> np.ndarray:
    """Return the last position of each value."""
    return np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)


def _f1(
    labels: np.ndarray, predicted: np.ndarray, draws: np.ndarray, *, is_macro: bool
) -> np.ndarray:
    images, of_predicted, correct = (
        draws @ columns.astype(np.float64) for columns in (labels, predicted, labels & predicted)
    )
    if is_macro:
        is_present = images > 0
        f1 = np.where(is_present, 2 * correct / np.maximum(images + of_predicted, 1), 0)
        sums, counts = f1.sum(axis=1), is_present.sum(axis=1)
    else:
        sums = 2 * correct.sum(axis=1)
        counts = np.where(images.any(axis=1), (images + of_predicted).sum(axis=1), 0)
    return np.divide(sums, counts, out=np.full(len(draws), np.nan), where=counts > 0)


def _precision_recall(counts: ClassMetrics) -> dict[str, float]:
    """Return precision and recall over all decisions and as averages over the labels.

    The precision of a label that was never predicted is 0.
    """
    present = counts.images > 0
    if not present.any():
        return {}
    values = {}
    for name, totals in (("precision", counts.predicted), ("recall", counts.images)):
        values[f"{name}_micro"] = float(counts.correct.sum() / max(totals.sum(), 1))
        shares = counts.correct[present] / np.maximum(totals[present], 1)
        values[f"{name}_macro"] = float(shares.mean())
    return values
