"""What images that were trained on do to the accuracy of the split that they are in too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Splits


def measure_leakage_effect(splits: Splits, name: str, is_right: np.ndarray) -> dict[str, float]:
    """Return the accuracy without the images that an earlier split has too, and say it.

    Args:
        splits: the data, with its duplicates.
        name: the split, `val` or `test`.
        is_right: bool (n,), whether each of its images was classified rightly.

    Returns:
        `{name}_duplicates`, how many such images there are, and, unless that is all of them,
        `{name}_accuracy_without_duplicates`; nothing where there are none.
    """
    seen = splits.leaked_indices(name)
    if not seen:
        return {}
    found = {f"{name}_duplicates": float(len(seen))}
    rest = np.delete(is_right, seen)
    effect = f"{len(seen)} of the {len(is_right):,} {name} images are in another split too"
    if len(rest):
        accuracy = float(rest.mean())
        found[f"{name}_accuracy_without_duplicates"] = accuracy
        effect += f": {name}_accuracy is {is_right.mean():.4f}, without them {accuracy:.4f}"
    logger.warning(f"{effect}.")
    return found
