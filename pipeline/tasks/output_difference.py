"""How far the outputs that two implementations of a model compute are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class OutputDifference:
    """The difference between two computations of the outputs of the same images.

    Attributes:
        changed: the images whose answer differs.
        largest: difference between two outputs; of numbers, as a share of the largest of them.
    """

    changed: int
    largest: float


def relative_differences(outputs: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the differences of numbers, (n,), as a share of the largest expected one.

    Args:
        outputs: float (n, 1).
        expected: the same.
    """
    import numpy as np

    scale = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return np.asarray(np.abs(outputs - expected)[:, 0] / scale)
