"""What a threshold on the probability costs: images without an answer, for fewer errors.

Selective classification (El-Yaniv and Wiener, 2010; Geifman and El-Yaniv, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import ConfidenceInterval, proportion_interval
from pipeline.evaluation.predictions import Predictions

SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True)
class SelectiveAccuracy:
    """The accuracy on the images whose predicted class is probable enough.

    Attributes:
        threshold: the lowest probability of the predicted class that is answered.
        answered: the share of images with such a probability.
        accuracy: of the answers.
        errors: the number of wrong answers.
    """

    threshold: float
    answered: float
    accuracy: ConfidenceInterval
    errors: int


def selective_accuracy(
    predictions: Predictions, shares: Sequence[float] = SHARES
) -> list[SelectiveAccuracy]:
    """Return the accuracy at the thresholds that answer at least these shares of the images.

    Thresholds that answer the same images are given once.
    """
    confidence, images = predictions.confidence, len(predictions)
    order = np.argsort(-confidence, kind="stable")
    ascending = -confidence[order]
    correct = np.cumsum(predictions.is_correct[order])
    rows: dict[int, SelectiveAccuracy] = {}
    for share in shares:
        threshold = confidence[order[max(int(np.ceil(round(share * images, 9))), 1) - 1]]
        count = int(np.searchsorted(ascending, -threshold, side="right"))  # with those equal to it
        right = int(correct[count - 1])
        rows[count] = SelectiveAccuracy(
            float(threshold), count / images, proportion_interval(right, count), count - right
        )
    return list(rows.values())
