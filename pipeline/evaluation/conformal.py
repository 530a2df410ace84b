"""Split-conformal prediction sets: the classes that are plausible at a confidence level.

A set contains the true class of a new image with at least the probability of the level, if the
image comes from where the calibration images come from (Angelopoulos and Bates, A Gentle
Introduction to Conformal Prediction, 2021). The nonconformity score of a class is 1 - its
probability, which makes sets as small as possible on average (Sadinle, Lei and Wasserman, 2019); so
a set has the classes whose probability reaches a threshold. Nothing is random. This module needs
NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# The confidence levels that thresholds are kept for.
LEVELS = (*(percent / 100 for percent in range(50, 100)), 0.995, 0.999)


@dataclass(frozen=True)
class ConformalCalibration:
    """What prediction sets are made with.

    Attributes:
        images: the number of calibration images.
        thresholds: the lowest probability of a class in the set, by confidence level, ascending
            levels. Levels that need more calibration images are left out.
    """

    images: int
    thresholds: Mapping[float, float]

    def threshold(self, confidence_level: float) -> float:
        """Return the threshold of a confidence level, or of the next one that has a threshold.

        Raises:
            ValueError: if the level is not between 0 and 1, or is too high for the number of
                calibration images.
        """
        if not 0 < confidence_level < 1:
            raise ValueError(f"expected a number between 0 and 1. Received: {confidence_level:g}.")
        for level, threshold in self.thresholds.items():
            if level >= confidence_level:
                return threshold
        raise ValueError(
            f"{self.images:,} calibration examples allow {max(self.thresholds, default=0):g} at "
            f"most. Received: {confidence_level:g}."
        )


def calibrate(labels: np.ndarray, probabilities: np.ndarray) -> ConformalCalibration:
    """Return the thresholds of prediction sets.

    Args:
        labels: int (n,), of images that neither trained the model nor chose anything about it.
        probabilities: float (n, classes).
    """
    descending = -np.sort(-_of_labels(labels, probabilities))
    ranks = {level: conformal_rank(len(labels), level) for level in LEVELS}
    return ConformalCalibration(
        len(labels),
        {level: float(descending[r - 1]) for level, r in ranks.items() if r <= len(labels)},
    )


def prediction_sets(probabilities: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Return which classes are in the set of each image, bool (n, classes); it may be empty.

    Args:
        probabilities: float (n, classes).
        threshold: the lowest probability in a set, of all images or, float (n, 1), of each.
    """
    return np.asarray(probabilities >= threshold)


def leave_one_out_sets(
    labels: np.ndarray, probabilities: np.ndarray, level: float
) -> np.ndarray | None:
    """Return the set of each calibration image with the threshold of all the others.

    Returns:
        bool (n, classes); None if the others are too few for the level.
    """
    likelihood = _of_labels(labels, probabilities)
    rank = conformal_rank(len(labels) - 1, level)
    if rank > len(labels) - 1:
        return None
    descending = -np.sort(-likelihood)
    # Without one of those up to the rank, the one after it takes its place.
    thresholds = np.where(
        likelihood >= descending[rank - 1], descending[rank], descending[rank - 1]
    )
    return prediction_sets(probabilities, thresholds[:, np.newaxis])


def conformal_rank(images: int, level: float) -> int:
    """Return ceil((n + 1) · level), the rank of the threshold among n probabilities, descending.

    A rank above n says that n calibration images are too few for the level.
    """
    return math.ceil(round((images + 1) * level, 9))  # 0.07 · 100 is 7, not 8


def _of_labels(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of each image's class, (n,)."""
    return np.asarray(probabilities[np.arange(len(labels)), labels])
