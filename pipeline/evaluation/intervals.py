"""How sure a figure is: 95 % intervals over the images that it was measured on.

They are the percentiles of the bootstrap (Efron, 1979; Efron and Tibshirani, 1993, chapter 13):
what the figure would have been on as many images, drawn from these with replacement. They say
nothing about another seed or other training images. The same predictions give the same interval.

The bootstrap draws no mistake that it has not seen, so that a model without mistakes would be
right for certain. Where fewer than 10 images are right, or wrong, or differ between two models,
intervals that allow for what was not seen take its place: Wilson's (1927) for a share, Agresti
and Min's (2005) for the difference of two shares of the same images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95

_BOUNDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_RESAMPLES = 2000
_FEW = 10  # images, below which the bootstrap's intervals are too narrow
_SEED = 0
_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure, and the bounds that hold it in 95 of 100 samples of images.

    Attributes:
        value: the figure.
        low: the lower bound.
        high: the upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """A figure of several runs.

    Attributes:
        mean: of the runs.
        std: the standard deviation between the runs.
        low: the lower bound of the 95 % interval of the mean.
        high: the upper bound.
    """

    mean: float
    std: float
    low: float
    high: float


def proportion_interval(count: int, total: int) -> Interval:
    """Return the interval of `count` images of `total`, as accuracy is.

    The images that a resample draws are binomially distributed, so that nothing has to be drawn.
    """
    share = count / total
    if min(count, total - count) < _FEW:
        found = stats.binomtest(count, total).proportion_ci(LEVEL, method="wilson")
        return Interval(share, float(found.low), float(found.high))
    low, high = stats.binom.ppf(_BOUNDS, total, share) / total
    return Interval(share, float(low), float(high))


def mean_interval(values: np.ndarray) -> Interval:
    """Return the interval of the mean of one number an image, (n,), as log loss is."""
    value = float(np.mean(values))
    if len(values) < 2:
        return Interval(value, value, value)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(_NUMBERS_AT_ONCE // len(values), 1),
        confidence_level=LEVEL,
        method="percentile",
        rng=_SEED,
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))


def paired_difference_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the interval of how much larger the share of the second is, on the same images.

    One model is better than another, as far as these images can tell, where 0 is outside.

    Args:
        first: bool (n,), whether the first model is right about each image.
        second: bool (n,), the same of the second.
    """
    total = len(first)
    won, lost = int(np.sum(second & ~first)), int(np.sum(first & ~second))
    value = (won - lost) / total
    if won + lost < _FEW:
        difference = (won - lost) / (total + 2)
        spread = np.sqrt(won + lost + 1 - (won - lost) ** 2 / (total + 2)) / (total + 2)
        reach = float(stats.norm.ppf(_BOUNDS[1]) * spread)
        return Interval(value, max(difference - reach, -1.0), min(difference + reach, 1.0))
    shares = np.array([won, lost, total - won - lost]) / total
    draws = np.random.default_rng(_SEED).multinomial(total, shares, size=_RESAMPLES)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / total, _BOUNDS)
    return Interval(value, float(low), float(high))


def paired_mean_difference_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """Return the interval of the mean of `second - first`, numbers of the same images, (n,)."""
    return mean_interval(second - first)


def spread_over_runs(values: np.ndarray) -> Spread:
    """Return the spread of a figure between runs that differ in their seed, two or more, (n,).

    The interval is Student's: runs are too few for the bootstrap.
    """
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(stats.t.ppf(_BOUNDS[1], len(values) - 1)) * std / len(values) ** 0.5
    return Spread(mean, std, mean - reach, mean + reach)
