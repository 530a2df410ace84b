"""Whether a plane divides two classes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

_MAX_VALUES = 2_000_000
_FEASIBLE, _INFEASIBLE = 0, 2  # as `linprog` numbers its outcomes


def is_linearly_separable(points: np.ndarray, is_second: np.ndarray) -> bool | None:
    """Return whether a plane has each class on a side of its own, by a linear program.

    Args:
        points: (n, d).
        is_second: bool (n,), whether each is of the second class.

    Returns:
        None if there are too many points to decide it in seconds, or rounding forbids it.
    """
    if points.size > _MAX_VALUES:
        return None
    scale = points.std(axis=0, dtype=np.float64)
    centered = (points - points.mean(axis=0, dtype=np.float64)) / np.where(scale > 0, scale, 1)
    inputs = np.hstack([centered, np.ones((len(points), 1))])
    signs = np.where(is_second, 1.0, -1.0)[:, np.newaxis]
    # Weights w with sign · w · x >= 1 for every point.
    result = linprog(
        np.zeros(inputs.shape[1]),
        A_ub=-signs * inputs,
        b_ub=-np.ones(len(points)),
        bounds=(None, None),
        method="highs",
    )
    return {_FEASIBLE: True, _INFEASIBLE: False}.get(result.status)
