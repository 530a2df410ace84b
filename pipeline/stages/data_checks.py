"""Checks of a recipe that need its data, made before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from pipeline.data.batches import steps_per_epoch
from pipeline.data.splits import Splits
from pipeline.errors import DataError, escape_unprintable
from pipeline.recipe.cross_checks import missing_splits, objective_problem
from pipeline.recipe.grammar import Recipe
from pipeline.training.class_weights import unknown_class
from pipeline.training.loss_config import loss_name

logger = logging.getLogger(__name__)


def check_recipe_with_data(recipe: Recipe, splits: Splits) -> None:
    """Check what `pipeline validate` cannot, because it does not read the images.

    Raises:
        DataError: if the recipe cannot be trained with these images.
    """
    count, training = len(splits.class_names), recipe.training
    if recipe.output == "sigmoid" and count != 2:
        name = loss_name(training.loss)
        raise DataError(f"training.loss: {name} needs two classes. The data has {count}.")
    if training.top_k and training.top_k >= count:
        raise DataError(
            f"training.top_k: expected less than the {count} classes of the data. "
            f"Received {training.top_k}."
        )
    unknown = unknown_class(training.class_weight, splits.class_names)
    if unknown:
        name, problem = unknown
        raise DataError(f"training.class_weight.{escape_unprintable(name)}: {problem}")
    for path, problem in missing_splits(recipe, lambda name: name not in splits.named()):
        raise DataError(f"{'.'.join(map(str, path))}: {problem}")
    accumulated = recipe.optimizer.gradient_accumulation_steps or 1
    for key, epochs, steps in _phases(recipe, splits):
        if accumulated > steps * epochs:
            raise DataError(
                "optimizer.gradient_accumulation_steps: the weights would never change: an update "
                f"takes {accumulated:,} steps, and {key}: {epochs} has {steps * epochs:,}. Lower "
                "it or data.batch_size, or train for more epochs."
            )
    if recipe.tuning:
        _check_objective(recipe, splits, recipe.tuning.objective)


def warn_of_rare_updates(recipe: Recipe, splits: Splits) -> None:
    """Warn if the weights do not change in every epoch."""
    accumulated = recipe.optimizer.gradient_accumulation_steps or 1
    steps = steps_per_epoch(splits.train, recipe.data.batch_size)
    if accumulated > steps:
        logger.warning(
            f"optimizer.gradient_accumulation_steps: the weights change every {accumulated:,} "
            f"steps, but an epoch has {steps:,}, so some epochs change nothing."
        )


def _phases(recipe: Recipe, splits: Splits) -> Iterator[tuple[str, int, int]]:
    """Yield the key of the epochs of each phase, their number, and the steps of an epoch."""
    steps = steps_per_epoch(splits.train, recipe.data.batch_size)
    yield "training.epochs", recipe.training.epochs, steps
    if recipe.training.fine_tune:
        yield "training.fine_tune.epochs", recipe.training.fine_tune.epochs, steps


def _check_objective(recipe: Recipe, splits: Splits, objective: str) -> None:
    validation = splits.validation
    problem = objective_problem(
        objective,
        recipe.training.top_k,
        splits.class_names,
        has_validation=validation is not None,
    )
    present = set() if validation is None else set(np.unique(validation.labels).tolist())
    absent = [name for i, name in enumerate(splits.class_names) if i not in present]
    if objective == "val_roc_auc" and absent and not problem:
        problem = f"val_roc_auc is undefined without validation images of {', '.join(absent)}."
    if problem:
        raise DataError(f"tuning.objective: {problem}")
