"""Checks across the sections of a recipe, and of the files that it names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from pipeline.config import Finding, KeyPath, unwrap_single_key
from pipeline.data import augmentation
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.grammar import Recipe
from pipeline.training import schedules
from pipeline.training.optimizers import schedule_of
from pipeline.training.training_config import TrainingConfig

_MAX_ROTATION = 0.2  # of a full turn, for images whose orientation matters


def errors_in(recipe: Recipe, in_doubt: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the errors of a recipe.

    Args:
        recipe: the recipe, possibly without its invalid values.
        in_doubt: the keys of `ASSUMED_VALID` whose value is a default instead of the intended one.
    """
    for check, assumed_valid in _CHECKS.items():
        if assumed_valid not in in_doubt:
            yield from check(recipe)


def warnings_in(recipe: Recipe) -> Iterator[Finding]:
    """Yield the values that have no effect or are probably wrong."""
    yield from _in_section("data", recipe.data.warnings())
    yield from _orientation(recipe)
    yield from _unused_views(recipe)


def _sections(recipe: Recipe) -> Iterator[Finding]:
    yield from _in_section("data", recipe.data.problems())
    yield from _in_section("model", recipe.model.problems())


def _in_section(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    return (((name, *path), message) for path, message in findings)


def _classes(recipe: Recipe) -> Iterator[Finding]:
    training, names = recipe.training, recipe.data.class_names()
    if names and training.top_k and training.top_k >= len(names):
        yield (
            ("training", "top_k"),
            f"expected less than the number of classes, {len(names)}. Received {training.top_k}.",
        )
    if names and recipe.output == "sigmoid" and len(names) != 2:
        yield (
            ("training", "loss"),
            f"binary_cross_entropy needs two classes. The data has {len(names)}.",
        )


def _binary_top_k(recipe: Recipe) -> Iterator[Finding]:
    if recipe.output == "sigmoid" and recipe.training.top_k:
        yield ("training", "top_k"), "cannot be used with binary_cross_entropy. Remove this key."


def _image_size(recipe: Recipe) -> Iterator[Finding]:
    height, width = recipe.data.image_size
    problem = recipe.model.image_size_problem(height, width)
    if problem:
        yield ("data", "image_size"), f"{problem}. Received [{height}, {width}]."


def _crop_size(recipe: Recipe) -> Iterator[Finding]:
    height, width = recipe.data.image_size
    for i, entry in enumerate(recipe.data.augmentation):
        name, crop = unwrap_single_key(entry)
        if isinstance(crop, augmentation.RandomCrop) and (
            crop.height > height or crop.width > width
        ):
            yield (
                ("data", "augmentation", i, name),
                f"expected a window within data.image_size [{height}, {width}]. "
                f"Received {crop.height}×{crop.width}.",
            )


def _fine_tuning(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.fine_tune and not recipe.model.has_frozen_base:
        yield ("training", "fine_tune"), _needs_frozen_base(recipe)


def _needs_frozen_base(recipe: Recipe) -> str:
    names = [name for name, config in ARCHITECTURES.items() if config.has_frozen_base]
    return (
        f"needs a model with a frozen base, model.architecture: {' or '.join(names)}. "
        f"Received {recipe.model.architecture}."
    )


def _warmup(recipe: Recipe) -> Iterator[Finding]:
    schedule = schedule_of(recipe.optimizer)
    if schedule is None or isinstance(schedule, schedules.PlateauSchedule):
        return
    warmup, epochs = getattr(schedule, "warmup", 0.0), recipe.training.epochs
    if warmup >= epochs:
        yield (
            ("optimizer", "schedule"),
            f"expected a warmup shorter than training.epochs, {epochs}. Received {warmup}.",
        )


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
    for i, entry in enumerate(recipe.data.augmentation):
        name, operation = unwrap_single_key(entry)
        path: KeyPath = ("data", "augmentation", i, name)
        if isinstance(operation, augmentation.RandomFlip):
            yield path, "a flip can change the class of these images, as it does for digits."
        elif isinstance(operation, augmentation.RandomRotation):
            factor = operation.factor
            largest = max(map(abs, factor if isinstance(factor, tuple) else (factor,)))
            if largest > _MAX_ROTATION:
                message = f"a rotation by {largest:g} of a full turn can change the class"
                yield path, f"{message} of these images, as it turns a 6 into a 9."


def _promotion(recipe: Recipe) -> Iterator[Finding]:
    if recipe.tracking.promote and not recipe.tracking.register_as:
        yield ("tracking", "promote"), "needs tracking.register, the name of the model."


_IMAGE_SIZE: KeyPath = ("data", "image_size")
_EPOCHS: KeyPath = ("training", "epochs")

# Each check, and the key whose default may cause its error when the intended value is invalid.
_CHECKS: dict[Callable[[Recipe], Iterator[Finding]], KeyPath | None] = {
    _sections: None,
    _classes: None,
    _binary_top_k: None,
    _image_size: _IMAGE_SIZE,
    _crop_size: _IMAGE_SIZE,
    _fine_tuning: None,
    _warmup: _EPOCHS,
    _clipping: None,
    _promotion: None,
}
ASSUMED_VALID = (_IMAGE_SIZE, _EPOCHS)
