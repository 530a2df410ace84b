"""95 % confidence intervals: over the images that a metric was measured on, and over runs.

Over images, a metric `NAME` has its bounds in `NAME_low` and `NAME_high`. They are percentile
bootstrap intervals (Efron, 1979; Efron and Tibshirani, 1993, chapter 13): the metric's range over
resamples of the images, drawn with replacement. They do not cover variation between seeds or
training sets. The same predictions give the same interval.

The bootstrap never draws an error that it has not seen, so it would call a model without errors
certain. Where fewer than 10 images are correct, or incorrect, or differ between two models, other
intervals replace it: Wilson's (1927) for a proportion, Agresti and Min's (2005) for the difference
of two proportions of the same images.

The mean of several proportions has the interval of Price and Bonett (2004), which also covers the
truth where the proportions are of few images. The mean of several paired differences has that of
Agresti and Min, whose four added images are shared by the classes in the same way. Both take the
variance of a class from its own images, and would take it for nearly 0 where there is one. Classes
of fewer than 10 images are therefore taken together, as strata of one unit are collapsed in the
analysis of samples (Cochran, Sampling Techniques, 1977, section 5A.12).

Over runs that differ in their seeds, `NAME_mean` is the mean of the metric, `NAME_std` its standard
deviation, and `NAME_mean_low` to `NAME_mean_high` Student's t interval of the mean. Over folds of
cross-validation, it is corrected for what they share.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95

_BOUNDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_RESAMPLES = 2000
_MIN_BOOTSTRAP = 10  # images, below which bootstrap intervals are too narrow
_SEED = 0
_MAX_DRAWS = 500_000  # in memory, each in several arrays


@dataclass(frozen=True)
class ConfidenceInterval:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def metrics(self, name: str) -> dict[str, float]:
        """Return the value as a metric, and its bounds as `NAME_low` and `NAME_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class RunSummary:
    """The mean of a metric over several runs.

    Attributes:
        mean: over the runs.
        std: the standard deviation between the runs.
        mean_low: the lower bound of the 95 % interval of the mean.
        mean_high: the upper bound.
    """

    mean: float
    std: float
    mean_low: float
    mean_high: float


def proportion_interval(count: int, total: int) -> ConfidenceInterval:
    """Return `count / total`, such as an accuracy, with its interval."""
    low, high = proportion_bounds(np.array([count]), np.array([total]))
    return ConfidenceInterval(count / total, float(low[0]), float(high[0]))


def proportion_bounds(counts: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the intervals of many proportions, such as the recalls of classes.

    The count in a resample follows a binomial distribution, so nothing is drawn.

    Args:
        counts: int (k,), of each proportion.
        totals: int (k,).

    Returns:
        Two float arrays (k,), NaN where a total is 0.
    """
    sizes = np.maximum(totals, 1)
    shares = counts / sizes
    z = float(stats.norm.ppf(_BOUNDS[1]))
    center = (shares + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    margin = z * np.sqrt(shares * (1 - shares) / sizes + (z / (2 * sizes)) ** 2)
    margin /= 1 + z**2 / sizes
    wilson = (np.maximum(center - margin, 0), np.minimum(center + margin, 1))
    is_rare = np.minimum(counts, totals - counts) < _MIN_BOOTSTRAP
    low, high = (
        np.where(is_rare, bound, stats.binom.ppf(level, sizes, shares) / sizes)
        for bound, level in zip(wilson, _BOUNDS, strict=True)
    )
    low[counts == 0], high[counts == totals] = 0, 1  # without rounding errors
    low[totals == 0], high[totals == 0] = np.nan, np.nan
    return low, high


def mean_proportion_interval(counts: np.ndarray, totals: np.ndarray) -> ConfidenceInterval:
    """Return the mean of several proportions, such as the recalls of classes, with its interval.

    Args:
        counts: int (k,), of each proportion.
        totals: int (k,), 1 or more.
    """
    number, value = len(counts), float(np.mean(counts / totals))
    sums, sizes = counts + 2 / number, totals + 4 / number
    center, margin = _mean_of_classes(sums, sums, sizes, totals)
    return ConfidenceInterval(value, max(center - margin, 0.0), min(center + margin, 1.0))


def _mean_of_classes(
    sums: np.ndarray, squares: np.ndarray, sizes: np.ndarray, totals: np.ndarray
) -> tuple[float, float]:
    """Return the mean of the means of classes, and half the width of its interval.

    Args:
        sums: float (k,), of the values of each class.
        squares: float (k,), the sums of their squares.
        sizes: float (k,), the images of each class, with those that the interval adds.
        totals: int (k,), the images of each class.
    """
    means = sums / sizes
    variances = squares / sizes - means**2
    is_small = totals < _MIN_BOOTSTRAP
    if is_small.sum() > 1:
        # One more image, as those of all small classes are on average, gives a class of one image
        # a variance. The divisor makes it unbiased where the classes are alike.
        mean, square = means[is_small].mean(), (squares / sizes)[is_small].mean()
        collapsed = (squares + square) / (sizes + 1) - ((sums + mean) / (sizes + 1)) ** 2
        collapsed /= 1 - sizes / (sizes + 1) ** 2
        variances = np.where(is_small, collapsed, variances)
    error = float(np.sqrt(np.sum(variances / sizes))) / len(sums)
    return float(means.mean()), float(stats.norm.ppf(_BOUNDS[1])) * error


def mean_interval(values: np.ndarray) -> ConfidenceInterval:
    """Return the mean of one number per image, (n,), such as a log loss, with its interval."""
    return bootstrap_interval((values,), lambda drawn: np.asarray(drawn.mean(axis=-1)))


def bootstrap_interval(
    columns: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray]
) -> ConfidenceInterval:
    """Return a statistic of the images with its interval.

    Args:
        columns: (n,) each, resampled together.
        statistic: maps them, (n,) or (resamples, n), to (), or (resamples,). Resamples for which it
            is undefined, NaN, are left out.
    """
    value = float(statistic(*columns))
    if len(columns[0]) < 2:
        return ConfidenceInterval(value, value, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # of undefined resamples
        drawn = stats.bootstrap(
            columns,
            lambda *drawn, axis: statistic(*drawn),
            n_resamples=_RESAMPLES,
            batch=max(_MAX_DRAWS // len(columns[0]), 1),
            vectorized=True,
            paired=True,
            confidence_level=LEVEL,
            method="percentile",
            rng=_SEED,
        ).bootstrap_distribution
    low, high = np.nanquantile(drawn, _BOUNDS)
    return ConfidenceInterval(value, float(low), float(high))


def paired_difference_interval(first: np.ndarray, second: np.ndarray) -> ConfidenceInterval:
    """Return the accuracy of the second model minus that of the first, on the same images.

    The models differ significantly where 0 lies outside the interval.

    Args:
        first: bool (n,), whether the first model classifies each image correctly.
        second: the same for the second model.
    """
    total = len(first)
    wins, losses = int(np.sum(second & ~first)), int(np.sum(first & ~second))
    value = (wins - losses) / total
    if wins + losses < _MIN_BOOTSTRAP:
        center = (wins - losses) / (total + 2)
        error = np.sqrt(wins + losses + 1 - (wins - losses) ** 2 / (total + 2)) / (total + 2)
        margin = float(stats.norm.ppf(_BOUNDS[1]) * error)
        return ConfidenceInterval(value, max(center - margin, -1.0), min(center + margin, 1.0))
    shares = np.array([wins, losses, total - wins - losses]) / total
    draws = np.random.default_rng(_SEED).multinomial(total, shares, size=_RESAMPLES)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / total, _BOUNDS)
    return ConfidenceInterval(value, float(low), float(high))


def mean_paired_difference_interval(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray
) -> ConfidenceInterval:
    """Return the balanced accuracy of the second model minus that of the first, on the same images.

    Args:
        first: bool (n,), whether the first model classifies each image correctly.
        second: the same for the second model.
        labels: int (n,), the true class of each image.
    """
    _, classes, totals = np.unique(labels, return_inverse=True, return_counts=True)
    number = len(totals)
    wins = np.bincount(classes[second & ~first], minlength=number)
    losses = np.bincount(classes[first & ~second], minlength=number)
    differing = wins + losses + 1 / number
    center, margin = _mean_of_classes(wins - losses, differing, totals + 2 / number, totals)
    value = float(np.mean((wins - losses) / totals))
    return ConfidenceInterval(value, max(center - margin, -1.0), min(center + margin, 1.0))


def summarize_runs(values: np.ndarray, *, limits: tuple[float, float]) -> RunSummary:
    """Return the mean of a metric over two or more runs, with Student's t interval.

    The runs differ in their seeds. They are too few for the bootstrap.

    Args:
        values: float (n,), of each run.
        limits: the least and the greatest value that the metric can have; the interval ends there.
    """
    return _t_interval(values, 1 / len(values), limits)


def summarize_folds(
    values: np.ndarray, *, test_to_train: float, limits: tuple[float, float]
) -> RunSummary:
    """Return the mean of a metric over folds of cross-validation, with its corrected t interval.

    The training images of two folds overlap, so that their metrics are not independent, and more
    repeats do not make the interval arbitrarily narrow. The variance of the mean is that of the
    metric times 1/folds + test images/training images (Nadeau and Bengio, 2003).

    Args:
        values: float (n,), of each fold of each repeat.
        test_to_train: the images that judge a model by those that it was made from, which are all
            others.
        limits: as for `summarize_runs`.
    """
    return _t_interval(values, 1 / len(values) + test_to_train, limits)


def _t_interval(values: np.ndarray, factor: float, limits: tuple[float, float]) -> RunSummary:
    """Return a summary in which the variance of the mean is that of the values times a factor."""
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    margin = float(stats.t.ppf(_BOUNDS[1], len(values) - 1)) * std * factor**0.5
    return RunSummary(mean, std, max(mean - margin, limits[0]), min(mean + margin, limits[1]))
