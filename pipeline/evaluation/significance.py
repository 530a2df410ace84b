"""Whether two models differ on the same images, and what many comparisons do to that.

The test is McNemar's (1947) in its exact form: of the images that only one of two equal models
classifies correctly, each has it right with probability 1/2. Its interval of the difference in
accuracy follows from that of Clopper and Pearson (1934) for this probability, given how many
images there are that only one of them has right; it excludes 0 where the test is significant.

Of twenty models that are no better, one is significantly better at a level of 5 %. Where all
comparisons are known, Holm's (1979) method corrects their p-values. Where more follow, each takes
its part of the level: the k-th has 1 / (k (k + 1)) of it, which adds up to the whole level however
many follow (alpha-spending: Foster and Stine, 2008; Tian and Ramdas, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from pipeline.evaluation.intervals import LEVEL, ConfidenceInterval


def mcnemar_test(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p-value of two models that classify the same images.

    Args:
        first: bool (n,), whether the first model classifies each image correctly.
        second: the same for the second model.
    """
    wins, losses = _only_one_correct(first, second)
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def exact_difference_interval(
    first: np.ndarray, second: np.ndarray, *, level: float
) -> ConfidenceInterval:
    """Return the accuracy of the second model minus that of the first, with its exact interval.

    Args:
        first: bool (n,), n above 0, whether the first model classifies each image correctly.
        second: the same for the second model.
        level: the confidence level, below 1.
    """
    wins, losses = _only_one_correct(first, second)
    total, one_correct = len(first), wins + losses
    if not one_correct:
        return ConfidenceInterval(0.0, 0.0, 0.0)
    share = stats.binomtest(wins, one_correct).proportion_ci(level, method="exact")
    low, high = ((2 * bound - 1) * one_correct / total for bound in (share.low, share.high))
    return ConfidenceInterval((wins - losses) / total, float(low), float(high))


def level_of_comparison(number: int) -> float:
    """Return the confidence level of the `number`-th of unlimited comparisons, from 1.

    All of them together have the level 95 %.
    """
    return 1 - (1 - LEVEL) / (number * (number + 1))


def min_images_to_differ(level: float) -> int:
    """Return the number of images below which no difference is significant at a level.

    It is the number of tosses of a coin that must all be heads to be significant.
    """
    return math.ceil(math.log2(2 / (1 - level)))


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method, in their order."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def _only_one_correct(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Return how many images only the second model, and only the first, classifies correctly."""
    return int(np.sum(second & ~first)), int(np.sum(first & ~second))
