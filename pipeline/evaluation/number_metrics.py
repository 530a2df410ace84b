"""Metrics of numbers that a model estimates.

They are the mean absolute error, `mae`, the root of the mean squared error, `rmse`, that error
itself, `mse`, and the coefficient of determination, `r2`: 1 minus the squared errors as a share of
those of the mean label. `mae`, `rmse` and `r2` have bootstrap intervals over the images.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.evaluation.intervals import ConfidenceInterval, bootstrap_interval

# Of labels and estimates, (n,), and the same functions along the last axis of (resamples, n).
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _mae(labels: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(estimates - labels).mean(axis=-1))


def _mse(labels: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    return np.asarray(((estimates - labels) ** 2).mean(axis=-1))


def _rmse(labels: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    return np.sqrt(_mse(labels, estimates))


def _r2(labels: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """Return NaN where all labels are equal."""
    variance = labels.var(axis=-1)
    share = np.full(variance.shape, np.nan)
    np.divide(_mse(labels, estimates), variance, out=share, where=variance > 0)
    return 1 - share


_METRICS: dict[str, Statistic] = {"mae": _mae, "rmse": _rmse, "mse": _mse, "r2": _r2}
_WITH_INTERVAL = ("mae", "rmse", "r2")


def number_metrics(labels: np.ndarray, estimates: np.ndarray) -> dict[str, float]:
    """Return every metric by name, except undefined ones.

    Args:
        labels: float (n,).
        estimates: float (n,).

    Returns:
        A metric with a 95 % interval has its bounds in `{name}_low` and `{name}_high`.
    """
    labels = labels.astype(np.float64)
    values: dict[str, float] = {}
    for name, metric in _METRICS.items():
        if np.isnan(metric(labels, estimates)):
            continue
        if name in _WITH_INTERVAL:
            values |= bootstrap_interval((labels, estimates), metric).metrics(name)
        else:
            values[name] = float(metric(labels, estimates))
    return values


def number_metric(name: str, labels: np.ndarray, estimates: np.ndarray) -> float | None:
    """Return one metric, None where it is undefined.

    Raises:
        KeyError: if there is no such metric.
    """
    value = float(_METRICS[name](labels.astype(np.float64), estimates))
    return None if np.isnan(value) else value


def rmse_difference(first: np.ndarray, second: np.ndarray) -> ConfidenceInterval:
    """Return the second RMSE minus the first, of absolute errors (n,) on the same images."""

    def difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        roots = (np.sqrt((errors**2).mean(axis=-1)) for errors in (after, before))
        return next(roots) - next(roots)

    return bootstrap_interval((first, second), difference)
