"""Checks of a recipe that need its data, made before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from pipeline.cluster.cluster import UnfitMachineError
from pipeline.data.batches import steps_per_epoch
from pipeline.data.splits import Splits
from pipeline.errors import DataError, PipelineError, escape_unprintable
from pipeline.recipe.cross_checks import metric_problem, missing_splits, used_metrics
from pipeline.recipe.grammar import Recipe
from pipeline.training.class_weights import unknown_class

logger = logging.getLogger(__name__)


def images_of_machine(load: Callable[[], Splits], digest: str) -> Splits:
    """Return the images that this machine has, if they are those of the driver.

    Args:
        load: loads them.
        digest: of the driver's.

    Raises:
        UnfitMachineError: if they are not there, or others.
    """
    try:
        splits = load()
    except PipelineError as error:  # the driver could read them
        raise UnfitMachineError(str(error)) from None
    if splits.digest != digest:
        raise UnfitMachineError(
            "Its images differ from the driver's. Copy the driver's images to it."
        )
    return splits


def check_recipe_with_data(recipe: Recipe, splits: Splits) -> None:
    """Check what `pipeline validate` cannot, because it does not read the images.

    Raises:
        DataError: if the recipe cannot be trained with these images.
    """
    count, training = len(splits.class_names), recipe.training
    for path, problem in recipe.task.problems(training, count):
        raise DataError(f"{'.'.join(map(str, path))}: {problem}")
    if problem := recipe.model.label_problem(recipe.task.LABEL_KIND, count):
        raise DataError(f"model.architecture: {problem}")
    unknown = unknown_class(training.class_weight, splits.class_names)
    if unknown:
        name, problem = unknown
        raise DataError(f"training.class_weight.{escape_unprintable(name)}: {problem}")
    for path, problem in missing_splits(recipe, lambda name: name not in splits.named()):
        raise DataError(f"{'.'.join(map(str, path))}: {problem}")
    steps = steps_per_epoch(splits.train, recipe.data.batch_size)
    for accumulation, accumulated, key, epochs in _phases(recipe):
        if accumulated > steps * epochs:
            raise DataError(
                f"{accumulation}: the weights would never change: an update "
                f"takes {accumulated:,} steps, and {key}: {epochs} has {steps * epochs:,}. Lower "
                "it or data.batch_size, or train for more epochs."
            )
    for path, metric in used_metrics(recipe):
        problem = _metric_problem(recipe, splits, metric)
        if problem:
            raise DataError(f"{'.'.join(map(str, path))}: {problem}")


def warn_of_rare_updates(recipe: Recipe, splits: Splits) -> None:
    """Warn if the weights do not change in every epoch."""
    steps = steps_per_epoch(splits.train, recipe.data.batch_size)
    accumulations = {path: accumulated for path, accumulated, *_ in _phases(recipe)}
    for path, accumulated in accumulations.items():
        if accumulated > steps:
            logger.warning(
                f"{path}: the weights change every {accumulated:,} steps, but an epoch has "
                f"{steps:,}, so some epochs change nothing."
            )


def _phases(recipe: Recipe) -> Iterator[tuple[str, int, str, int]]:
    """Yield the steps of an update and the epochs of each phase, each after the path of its key."""
    key, fine_tune = "gradient_accumulation_steps", recipe.training.fine_tune
    steps = recipe.optimizer.gradient_accumulation_steps or 1
    yield f"optimizer.{key}", steps, "training.epochs", recipe.training.epochs
    if fine_tune:
        section = "training.fine_tune.optimizer" if fine_tune.optimizer else "optimizer"
        optimizer = fine_tune.optimizer_after(recipe.optimizer)
        steps = optimizer.gradient_accumulation_steps or 1
        yield f"{section}.{key}", steps, "training.fine_tune.epochs", fine_tune.epochs


def _metric_problem(recipe: Recipe, splits: Splits, metric: str) -> str:
    """Return why a run does not have a metric of the validation images, or an empty string."""
    validation, names = splits.validation, splits.class_names
    problem = metric_problem(
        recipe.task, metric, recipe.training.top_k, names, has_validation=validation is not None
    )
    if problem or validation is None:
        return problem
    problem = splits.task.metric_problem(metric.removeprefix("val_"), validation.labels, names)
    return problem and f"{metric} {problem}"
