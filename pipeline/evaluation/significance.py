"""Whether two models differ on the same images, and what many comparisons do to that.

The test is McNemar's (1947) in its exact form: of the images that only one of two equal models
classifies correctly, each has it right with probability 1/2. Errors of numbers are compared by
Student's paired t-test.

Of twenty models that are no better, one differs significantly at a level of 5 %. Where all
comparisons are known, Holm's (1979) method corrects their p-values. Where more follow, each takes
its part of the level: the k-th has 1 / (k (k + 1)) of it, which adds up to the whole level however
many follow (alpha-spending: Foster and Stine, 2008; Tian and Ramdas, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from pipeline.evaluation.intervals import LEVEL


def mcnemar_test(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p-value of two models that classify the same images.

    Args:
        first: bool (n,), whether the first model classifies each image correctly.
        second: the same for the second model.
    """
    wins, losses = int(np.sum(second & ~first)), int(np.sum(first & ~second))
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def paired_t_test(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p-value of Student's test that two means are equal, such as of errors.

    Args:
        first: float (n,), of each image by the first model.
        second: float (n,), of the same image by the second model.
    """
    if len(first) < 2 or (first == second).all():
        return 1.0
    return float(stats.ttest_rel(second, first).pvalue)


def level_of_comparison(number: int) -> float:
    """Return the level that the p-value of the `number`-th of unlimited comparisons must reach.

    The levels of all comparisons, from 1 on, add up to 5 %.
    """
    return (1 - LEVEL) / (number * (number + 1))


def min_images_to_differ(level: float) -> int:
    """Return the number of images below which no difference is significant at a level.

    It is the number of tosses of a coin that must all be heads to be significant.
    """
    return math.ceil(math.log2(2 / level))


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method, in their order."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
