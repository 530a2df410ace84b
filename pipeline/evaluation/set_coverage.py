"""How often prediction sets contain the true class, and how many classes they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.evaluation.conformal import conformal_rank, leave_one_out_sets
from pipeline.evaluation.intervals import ConfidenceInterval, proportion_interval
from pipeline.evaluation.predictions import Predictions

REPORTED_LEVELS = (0.8, 0.9, 0.95, 0.99)
_MAX_CLASSES = 20


@dataclass(frozen=True)
class ClassCoverage:
    """The prediction sets of the images of one class.

    Attributes:
        name: of the class.
        images: their number.
        coverage: the share of sets that contain the class.
        mean_size: the mean number of classes in a set.
    """

    name: str
    images: int
    coverage: ConfidenceInterval
    mean_size: float


@dataclass(frozen=True)
class SetCoverage:
    """The prediction sets of labelled images at one confidence level.

    Attributes:
        level: the confidence level.
        coverage: the share of sets that contain the true class.
        expected: of all calibrations with as many images, 95 % have a coverage of new images in
            this range; None if that is not known.
        mean_size: the mean number of classes in a set.
        empty: the share of sets without a class.
        single: the share of sets with one class.
        by_class: of the classes with the lowest coverage, the lowest first, at most 20.
    """

    level: float
    coverage: ConfidenceInterval
    expected: tuple[float, float] | None
    mean_size: float
    empty: float
    single: float
    by_class: Sequence[ClassCoverage]


def calibration_coverage(predictions: Predictions, level: float) -> SetCoverage | None:
    """Return the coverage of calibration images, each by the threshold of all the others.

    The coverage of new images follows a beta distribution (Vovk, 2012; Angelopoulos and Bates,
    2021, section 3.2), which gives `expected`.

    Returns:
        None if there are too few images for the level.
    """
    sets = leave_one_out_sets(predictions.labels, predictions.outputs, level)
    if sets is None:
        return None
    images = len(predictions)
    rank = conformal_rank(images, level)
    low, high = stats.beta.ppf((0.025, 0.975), rank, images + 1 - rank)
    return set_coverage(predictions, sets, level, expected=(float(low), float(high)))


def set_coverage(
    predictions: Predictions,
    sets: np.ndarray,
    level: float,
    *,
    expected: tuple[float, float] | None = None,
) -> SetCoverage:
    """Return the coverage and the size of prediction sets.

    Args:
        predictions: the images.
        sets: bool (n, classes), their sets.
        level: the confidence level.
        expected: as in `SetCoverage`.
    """
    labels, classes = predictions.labels, len(predictions.class_names)
    covered = sets[np.arange(len(labels)), labels]
    sizes = sets.sum(axis=1)
    images = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[covered], minlength=classes)
    totals = np.bincount(labels, sizes, minlength=classes)
    present = np.flatnonzero(images)
    lowest = np.argsort(hits[present] / images[present], kind="stable")[:_MAX_CLASSES]
    return SetCoverage(
        level=level,
        coverage=proportion_interval(int(covered.sum()), len(labels)),
        expected=expected,
        mean_size=float(sizes.mean()),
        empty=float(np.mean(sizes == 0)),
        single=float(np.mean(sizes == 1)),
        by_class=[
            ClassCoverage(
                predictions.class_names[label],
                int(images[label]),
                proportion_interval(int(hits[label]), int(images[label])),
                float(totals[label] / images[label]),
            )
            for label in present[lowest].tolist()
        ],
    )
