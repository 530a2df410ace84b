"""Measure how duplicates of training images change the metrics of another split."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.data.splits import Splits

logger = logging.getLogger(__name__)


def measure_leakage_effect(splits: Splits, name: str, is_correct: np.ndarray) -> dict[str, float]:
    """Return how many images are right without those of an earlier split, with a warning.

    Args:
        splits: the data, with its duplicates.
        name: of the split, `val` or `test`.
        is_correct: bool (n,), whether each of its images is decided correctly.

    Returns:
        `{name}_duplicates`, the number of such images, and, if there are others,
        `{name}_accuracy_without_duplicates`, or what the task has for accuracy; nothing without
        duplicates.
    """
    seen = splits.leaked_indices(name)
    if not seen:
        return {}
    metrics = {f"{name}_duplicates": float(len(seen))}
    others = np.delete(is_correct, seen)
    effect = f"{len(seen)} of {len(is_correct):,} {name} images are also in another split"
    if len(others):
        share, metric = float(others.mean()), f"{name}_{splits.task.COMPARED_METRIC}"
        metrics[f"{metric}_without_duplicates"] = share
        effect += f": {metric} is {is_correct.mean():.4f}, without them {share:.4f}"
    logger.warning(f"{effect}.")
    return metrics
