"""Classes of different sizes: their weights in the loss, and the warning about them."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.data.sampling import draws_per_class, is_imbalanced
from pipeline.data.splits import Splits
from pipeline.errors import escape_unprintable
from pipeline.recipe.grammar import Recipe
from pipeline.training.class_weights import class_weights
from pipeline.training.loss_config import loss_section

logger = logging.getLogger(__name__)

_REMEDIES = ("training.class_weight", "data.sampling", "training.loss")
_MAX_COUNTS = 12  # classes in the warning


def warn_of_imbalance(recipe: Recipe, splits: Splits) -> None:
    """Log a warning where classes are imbalanced and the recipe does nothing about it.

    A search that has one of the remedies in its space does something about it too.
    """
    training, tuning = recipe.training, recipe.tuning
    is_remedied = (
        training.class_weight != "none"
        or recipe.data.sampling != "natural"
        or loss_section(training.loss) is not None
        or any(path.startswith(_REMEDIES) for path in (tuning.space if tuning else ()))
    )
    counts = splits.class_counts("train")
    if is_remedied or not is_imbalanced(counts):
        return
    order = np.argsort(-counts, kind="stable")
    listed = [f"{escape_unprintable(splits.class_names[i])} {counts[i]:,}" for i in order]
    if len(listed) > _MAX_COUNTS:
        half = _MAX_COUNTS // 2
        listed = [*listed[:half], "…", *listed[-half:]]
    logger.warning(
        f"The classes are imbalanced. Training {splits.unit}: {', '.join(listed)}. "
        f"{splits.task.IMBALANCE_ADVICE}"
    )


def training_class_weights(recipe: Recipe, splits: Splits) -> np.ndarray | None:
    """Return the weight of each class in the training loss, float32 (classes,), or None."""
    names = splits.class_names
    is_balanced = recipe.data.sampling == "balanced"
    draws = draws_per_class(splits.class_counts("train"), is_balanced=is_balanced)
    return class_weights(recipe.training.class_weight, draws, names)
