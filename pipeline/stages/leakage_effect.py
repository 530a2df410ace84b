"""Measure how duplicates of training images change the metrics of another split."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.data.splits import Splits

logger = logging.getLogger(__name__)


def measure_leakage_effect(splits: Splits, name: str, scores: np.ndarray) -> dict[str, float]:
    """Return how a metric is without the images of an earlier split, with a warning.

    Args:
        splits: the data, with its duplicates.
        name: of the split, `val` or `test`.
        scores: (n,), of its images, as `Task.image_scores` returns them.

    Returns:
        `{name}_duplicates`, the number of such images, and, if there are others,
        `{name}_accuracy_without_duplicates`, or what the task has for accuracy; nothing without
        duplicates.
    """
    seen = splits.leaked_indices(name)
    if not seen:
        return {}
    metrics = {f"{name}_duplicates": float(len(seen))}
    others = np.delete(scores, seen)
    effect = f"{len(seen)} of {len(scores):,} {name} {splits.unit} are also in another split"
    if len(others):
        share, metric = float(others.mean()), f"{name}_{splits.task.COMPARED_METRIC}"
        metrics[f"{metric}_without_duplicates"] = share
        effect += f": {metric} is {scores.mean():.4f}, without them {share:.4f}"
    logger.warning(f"{effect}.")
    return metrics
