"""Precision, recall and F1 of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.intervals import proportion_bounds


@dataclass(frozen=True)
class ClassMetrics:
    """The results of each class, in the order of the labels. Undefined values are NaN.

    Attributes:
        class_names: (classes,).
        images: int (classes,), of each class.
        predicted: int (classes,), images that were predicted to be of the class.
        correct: int (classes,), images of the class that were predicted to be of it.
    """

    class_names: Sequence[str]
    images: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """The proportion of the predicted images that are of the class, float (classes,)."""
        return _divide(self.correct, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """The proportion of the images of the class that were predicted, float (classes,)."""
        return _divide(self.correct, self.images)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall, float (classes,)."""
        return _divide(2 * self.correct, self.images + self.predicted)

    def rows(self, labels: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return a row for each class, or for some of them; undefined values are None.

        Precision and recall have the bounds of their 95 % intervals, `…_low` and `…_high`.
        """
        chosen = np.arange(len(self.class_names)) if labels is None else np.asarray(labels, int)
        columns: dict[str, np.ndarray] = {"images": self.images[chosen]}
        for name, total in (("precision", self.predicted), ("recall", self.images)):
            columns[name] = getattr(self, name)[chosen]
            low, high = proportion_bounds(self.correct[chosen], total[chosen])
            columns |= {f"{name}_low": low, f"{name}_high": high}
        columns["f1"] = self.f1[chosen]
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [
            {"class": self.class_names[label]}
            | {
                key: None if value != value else value
                for key, value in zip(columns, row, strict=True)
            }
            for label, row in zip(chosen.tolist(), rows, strict=True)
        ]

    def worst(self, max_classes: int) -> list[int]:
        """Return the labels of the classes with the lowest recall, lowest first.

        Classes without images are left out. Of equal ones, those with more images come first.
        """
        present = np.flatnonzero(self.images)
        order = np.lexsort((-self.images[present], self.recall[present]))
        worst: list[int] = present[order][:max_classes].tolist()
        return worst


def class_metrics(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> ClassMetrics:
    """Return the results of each class.

    Args:
        labels: int (n,), the true classes.
        predicted: int (n,), the predicted classes.
        class_names: in the order of the labels.
    """
    count = len(class_names)
    return ClassMetrics(
        class_names,
        images=np.bincount(labels, minlength=count),
        predicted=np.bincount(predicted, minlength=count),
        correct=np.bincount(labels[labels == predicted], minlength=count),
    )


def label_set_class_metrics(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] = ()
) -> ClassMetrics:
    """Return the results of each label of images that may have several.

    Args:
        labels: bool (n, classes).
        predicted: bool (n, classes).
        class_names: of the labels.
    """
    return ClassMetrics(
        class_names,
        images=labels.sum(axis=0),
        predicted=predicted.sum(axis=0),
        correct=(labels & predicted).sum(axis=0),
    )


def class_metric(
    name: str, labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> float | None:
    """Return a metric of one class, such as `recall/ants`; None if the class has no images.

    The precision of a class that was never predicted is 0.

    Args:
        name: `precision`, `recall` or `f1`, and the name of the class.
        labels, predicted, class_names: as `class_metrics` takes them.
    """
    metric, _, class_name = name.partition("/")
    if metric not in ("precision", "recall", "f1") or class_name not in class_names:
        return None
    metrics, label = (
        class_metrics(labels, predicted, class_names),
        list(class_names).index(class_name),
    )
    if not metrics.images[label]:
        return None
    return float(np.nan_to_num(getattr(metrics, metric)[label]))


def _divide(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return counts divided by totals, NaN where a total is 0."""
    return np.divide(counts, totals, out=np.full(len(counts), np.nan), where=totals > 0)
