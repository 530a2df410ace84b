"""From a model's outputs to class probabilities. This module needs NumPy only."""

from __future__ import annotations

import numpy as np


def to_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a model, (n, units), as probabilities, float64 (n, classes).

    Rows sum to 1. One sigmoid unit p becomes the two columns 1 - p and p.
    """
    probabilities = np.asarray(outputs, np.float64)
    if probabilities.shape[1] == 1:
        probabilities = np.hstack([1 - probabilities, probabilities])
    return probabilities / probabilities.sum(axis=1, keepdims=True)
