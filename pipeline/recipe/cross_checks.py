"""Checks across the sections of a recipe, and of the files that it names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pipeline.config import Finding, KeyPath, unwrap_single_key
from pipeline.data import augmentation
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.grammar import Recipe
from pipeline.training.optimizers import schedule_of
from pipeline.training.training_config import TrainingConfig

_MAX_ROTATION = 0.2  # of a full turn, for images whose orientation matters
_IMAGE_SIZE: KeyPath = ("data", "image_size")
_EPOCHS: KeyPath = ("training", "epochs")
ASSUMED_VALID = (_IMAGE_SIZE, _EPOCHS)  # whose default may cause the error of another key


def errors_in(recipe: Recipe, in_doubt: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the errors of a recipe.

    Args:
        recipe: the recipe, possibly without its invalid values.
        in_doubt: the keys of `ASSUMED_VALID` whose value is a default instead of the intended one.
    """
    yield from _in_section("data", recipe.data.problems())
    yield from _in_section("model", recipe.model.problems())
    yield from _loss_and_top_k(recipe)
    if _IMAGE_SIZE not in in_doubt:
        yield from _image_size(recipe)
    if recipe.training.fine_tune and not recipe.model.has_frozen_base:
        yield ("training", "fine_tune"), _needs_frozen_base(recipe)
    if _EPOCHS not in in_doubt:
        yield from _warmup(recipe)
    yield from _clipping(recipe)
    if recipe.tracking.promote and not recipe.tracking.register_as:
        yield ("tracking", "promote"), "needs tracking.register, the name of the model."


def warnings_in(recipe: Recipe) -> Iterator[Finding]:
    """Yield the values that have no effect or are probably wrong."""
    yield from _in_section("data", recipe.data.warnings())
    yield from _orientation(recipe)
    yield from _unused_views(recipe)


def _in_section(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    return (((name, *path), message) for path, message in findings)


def _loss_and_top_k(recipe: Recipe) -> Iterator[Finding]:
    training, names = recipe.training, recipe.data.class_names()
    if names and training.top_k and training.top_k >= len(names):
        message = f"expected less than the number of classes, {len(names)}"
        yield ("training", "top_k"), f"{message}. Received {training.top_k}."
    if names and recipe.output == "sigmoid" and len(names) != 2:
        message = f"binary_cross_entropy needs two classes. The data has {len(names)}."
        yield ("training", "loss"), message
    if recipe.output == "sigmoid" and training.top_k:
        yield ("training", "top_k"), "cannot be used with binary_cross_entropy. Remove this key."


def _image_size(recipe: Recipe) -> Iterator[Finding]:
    height, width = recipe.data.image_size
    problem = recipe.model.image_size_problem(height, width)
    if problem:
        yield _IMAGE_SIZE, f"{problem}. Received [{height}, {width}]."
    for path, crop in _augmentation(recipe):
        if isinstance(crop, augmentation.RandomCrop) and (
            crop.height > height or crop.width > width
        ):
            message = f"expected a window within data.image_size [{height}, {width}]"
            yield path, f"{message}. Received {crop.height}×{crop.width}."


def _augmentation(recipe: Recipe) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the path and the section of each operation."""
    for i, entry in enumerate(recipe.data.augmentation):
        name, operation = unwrap_single_key(entry)
        yield ("data", "augmentation", i, name), operation


def _needs_frozen_base(recipe: Recipe) -> str:
    names = [name for name, config in ARCHITECTURES.items() if config.has_frozen_base]
    return (
        f"needs a model with a frozen base, model.architecture: {' or '.join(names)}. "
        f"Received {recipe.model.architecture}."
    )


def _warmup(recipe: Recipe) -> Iterator[Finding]:
    warmup = getattr(schedule_of(recipe.optimizer), "warmup", 0.0)
    epochs = recipe.training.epochs
    if warmup >= epochs:
        message = f"expected a warmup shorter than training.epochs, {epochs}. Received {warmup}."
        yield ("optimizer", "schedule"), message


def _clipping(recipe: Recipe) -> Iterator[Finding]:
    keys = ("clipnorm", "clipvalue", "global_clipnorm")
    used = [key for key in keys if getattr(recipe.optimizer, key) is not None]
    for key in used[1:]:
        yield ("optimizer", key), f"cannot be used together with {used[0]}. Remove one of them."


def _unused_views(recipe: Recipe) -> Iterator[Finding]:
    is_default = recipe.training.views == TrainingConfig.model_fields["views"].default
    if not is_default and not recipe.model.has_frozen_base:
        yield ("training", "views"), f"has no effect: it {_needs_frozen_base(recipe)}"


def _orientation(recipe: Recipe) -> Iterator[Finding]:
    if not recipe.data.orientation_matters:
        return
    for path, operation in _augmentation(recipe):
        if isinstance(operation, augmentation.RandomFlip):
            yield path, "a flip can change the class of these images, as it does for digits."
        elif isinstance(operation, augmentation.RandomRotation):
            factor = operation.factor
            largest = max(map(abs, factor if isinstance(factor, tuple) else (factor,)))
            if largest > _MAX_ROTATION:
                message = f"a rotation by {largest:g} of a full turn can change the class"
                yield path, f"{message} of these images, as it turns a 6 into a 9."
