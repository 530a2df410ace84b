"""Draws points of a known shape: truth tables, figures in the plane, functions of one variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import datasets

from pipeline.data.expression import evaluate
from pipeline.errors import DataError

_TRUTH_TABLE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
_BLOB_DEVIATION = 0.15  # of blobs on the unit circle
_INNER_CIRCLE = 0.5  # its radius, the outer one's being 1


def truth_table(outputs: Sequence[int], samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a truth table, one after another and again.

    Args:
        outputs: for the inputs 00, 01, 10 and 11.
        samples: the number of rows.

    Returns:
        Points, float64 (n, 2), and classes, int64 (n,), as of every function here for classes.
    """
    rows = np.arange(samples) % len(_TRUTH_TABLE)
    return _TRUTH_TABLE[rows], np.array(outputs, np.int64)[rows]


def moons(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two half circles that reach into each other."""
    return _of_sklearn(datasets.make_moons(samples, shuffle=False))


def circles(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a circle in another one."""
    return _of_sklearn(datasets.make_circles(samples, shuffle=False, factor=_INNER_CIRCLE))


def spirals(samples: int, turns: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two spirals around each other, of radius 1."""
    labels = np.arange(samples) % 2
    way = np.sqrt((np.arange(samples) + 1) / samples)  # as many points on each part of a spiral
    angles = 2 * np.pi * turns * way + np.pi * labels
    return way[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1), labels


def blobs(
    samples: int, classes: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a normal distribution for each class, around points on the unit circle."""
    labels = np.arange(samples) % classes
    angles = 2 * np.pi * labels / classes
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return centers + generator.normal(0, _BLOB_DEVIATION, centers.shape), labels


def curve(
    function: Callable[[np.ndarray], np.ndarray], between: tuple[float, float], samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return evenly spaced numbers, float64 (n, 1), and the values of a function, float64 (n,)."""
    x = np.linspace(*between, samples)
    return x[:, None], function(x)


def staircase(
    heights: Sequence[float], between: tuple[float, float]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function with constant values on parts of equal width."""
    edges = np.linspace(*between, len(heights) + 1)
    return lambda x: np.array(heights)[np.searchsorted(edges[1:-1], x, side="right")]


def expression_values(text: str, x: np.ndarray) -> np.ndarray:
    """Return the values of an expression.

    Raises:
        DataError: if one is not a finite number.
    """
    values = evaluate(text, x)
    broken = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(broken):
        raise DataError(
            f"data.kind.function: {text} is no finite number at x = {x[broken[0]]:g}. Change the "
            "expression or its range."
        )
    return values


def _of_sklearn(drawn: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    points, labels = drawn
    return points, labels.astype(np.int64)


TRUTH_TABLES: Mapping[str, Sequence[int]] = {
    "and": (0, 0, 0, 1),
    "or": (0, 1, 1, 1),
    "nand": (1, 1, 1, 0),
    "xor": (0, 1, 1, 0),
}
