"""Checks across the sections of a recipe, and of the files that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from pipeline.config import Finding, KeyPath, unwrap_single_key
from pipeline.data import augmentation
from pipeline.data.image_source import ImageSourceConfig, augmentation_of
from pipeline.data.source_config import SplitName
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.unused_values import needs_frozen_base, unused_values
from pipeline.recipe.used_optimizers import used_optimizers, used_schedules
from pipeline.suggestions import did_you_mean
from pipeline.tasks.task import Task
from pipeline.training.class_weights import unknown_class
from pipeline.training.loss_config import loss_name
from pipeline.training.optimizers import OptimizerConfig
from pipeline.training.schedules import PlateauSchedule

_MAX_ROTATION = 0.2  # of a full turn, for images whose orientation matters
_IMAGE_SIZE: KeyPath = ("data", "image_size")
_EPOCHS: KeyPath = ("training", "epochs")
_FINE_TUNING_EPOCHS: KeyPath = ("training", "fine_tune", "epochs")
_TOP_K: KeyPath = ("training", "top_k")
# The keys whose default may cause the error of another key.
ASSUMED_VALID = (_IMAGE_SIZE, _EPOCHS, _FINE_TUNING_EPOCHS, _TOP_K)
_NO_VALIDATION = "needs a validation split, and data.validation: 0 leaves none"
_MIN_FLOAT32 = 1e-37  # smaller numbers are 0


def errors_in(recipe: Recipe, in_doubt: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the errors of a recipe.

    Args:
        recipe: the recipe, possibly without its invalid values.
        in_doubt: the keys of `ASSUMED_VALID` whose value is a default instead of the intended one.
    """
    yield from _in_section("data", recipe.data.problems())
    yield from _in_section("model", recipe.model.problems())
    if recipe.data.task not in recipe.data.tasks:
        available = ", ".join(recipe.data.tasks)
        yield (
            ("data", "task"),
            f"the source {recipe.data.source} has labels for {available}. Received "
            f"{recipe.data.task}.",
        )
        return
    if recipe.task.DRAWS_IMAGES and recipe.model.has_base:
        message = f"data.task: {recipe.data.task} needs a model without a base, such as autoencoder"
        yield ("model", "architecture"), f"{message}. Received {recipe.model.architecture}."
    if recipe.model.draws_images and not recipe.task.DRAWS_IMAGES:
        message = f"{recipe.model.architecture} draws images and needs data.task: reconstruction"
        yield ("model", "architecture"), f"{message}. Received {recipe.data.task}."
    yield from _exclusive(recipe)
    yield from _classes(recipe)
    yield from _inputs(recipe)
    if isinstance(recipe.data, ImageSourceConfig) and _IMAGE_SIZE not in in_doubt:
        yield from _image_size(recipe, recipe.data.image_size)
    if recipe.training.fine_tune and not recipe.model.has_frozen_base:
        yield ("training", "fine_tune"), needs_frozen_base(recipe)
    yield from _warmup(recipe, in_doubt)
    for path, optimizer in used_optimizers(recipe):
        yield from _clipping(path, optimizer)
        yield from _accumulator(path, optimizer)
    yield from _fine_tuning_rate(recipe)
    if recipe.runtime.precision == "int8" and recipe.runtime.engine == "tensorflow":
        remedy = "Set it to openvino or auto."
        yield ("runtime", "engine"), f"cannot compute in int8, as runtime.precision asks. {remedy}"
    if _TOP_K not in in_doubt:
        yield from _unknown_metrics(recipe)
    if recipe.tracking.promote and not recipe.tracking.register_as:
        yield ("tracking", "promote"), "needs tracking.register, the name of the model."
    yield from missing_splits(recipe, lambda name: recipe.data.has_split(name) is False)


def missing_splits(recipe: Recipe, is_missing: Callable[[SplitName], bool]) -> Iterator[Finding]:
    """Yield the keys that need images which the data does not have.

    Args:
        recipe: the recipe.
        is_missing: whether the data has no such split, and none is drawn.
    """
    tracking = recipe.tracking
    if tracking.promote and tracking.promote_on == "test" and is_missing("test"):
        yield (
            ("tracking", "promote"),
            "needs a test split, which chose nothing, and the data has none. Set data.test above "
            "0, or compare on the split that chose the epoch: tracking.promote_on: validation.",
        )
    if not is_missing("val"):
        return
    remedy = "or set data.validation above 0."
    if recipe.training.early_stopping:
        yield (
            ("training", "early_stopping"),
            f"{_NO_VALIDATION}. Remove this section, {remedy}",
        )
    for used in used_schedules(recipe):
        if isinstance(unwrap_single_key(used.entry)[1], PlateauSchedule):
            message = f"plateau {_NO_VALIDATION}. Choose another schedule, {remedy}"
            yield used.path, message
    if tracking.promote and tracking.promote_on == "validation":
        message = f"validation {_NO_VALIDATION}. Set tracking.promote_on: test, {remedy}"
        yield ("tracking", "promote_on"), message


def metric_problem(
    task: Task,
    metric: str,
    top_k: int | None,
    class_names: Sequence[str] | None,
    *,
    has_validation: bool | None,
) -> str:
    """Return why a run does not have a metric of the validation images, or an empty string.

    Args:
        task: what is predicted.
        metric: its name.
        top_k: `training.top_k`.
        class_names: the classes, if they are known.
        has_validation: whether there are validation images, if that is known.
    """
    names = [f"val_{name}" for name in task.METRICS]
    of_class = re.fullmatch(rf"val_(?:{'|'.join(task.CLASS_METRICS)})/(.+)", metric)
    of_top_k = re.fullmatch(r"val_top_(\d+)_accuracy", metric) if task.IS_EXCLUSIVE else None
    if not (metric in names or of_class or of_top_k):
        others = ["val_top_K_accuracy"] if task.IS_EXCLUSIVE else []
        others += [f"val_{name}/CLASS" for name in task.CLASS_METRICS]
        hint = did_you_mean(metric, names)
        return f"expected one of: {', '.join((*names, *others))}. Received '{metric}'.{hint}"
    if has_validation is False:
        return f"{metric} {_NO_VALIDATION}. Set data.validation above 0."
    if of_top_k and metric != f"val_top_{top_k}_accuracy":
        needed = f"{metric} needs training.top_k: {int(of_top_k[1])}"
        return f"{needed}. Received {top_k or 'null'}."
    if of_class and class_names and of_class[1] not in class_names:
        available = f"Available: {', '.join(class_names)}."
        hint = did_you_mean(of_class[1], class_names)
        return f"the data has no class '{of_class[1]}'. {available}{hint}"
    return ""


def metric_problem_of(recipe: Recipe, metric: str) -> str:
    """Return why the runs of a recipe do not have a metric, as far as it is known before a run."""
    has_validation = recipe.data.has_split("val")
    names = recipe.data.class_names() if "/" in metric else None  # it may read a long table
    top_k = recipe.training.top_k
    return metric_problem(recipe.task, metric, top_k, names, has_validation=has_validation)


def used_metrics(recipe: Recipe) -> Iterator[tuple[KeyPath, str]]:
    """Yield the metrics that choose epochs and trials, by the path of their keys."""
    if recipe.training.early_stopping:
        yield ("training", "early_stopping", "monitor"), recipe.monitor
    if recipe.tuning:
        yield ("tuning", "objective"), recipe.tuning.objective


def _unknown_metrics(recipe: Recipe) -> Iterator[Finding]:
    has_validation = recipe.data.has_split("val") is not False
    for path, metric in used_metrics(recipe):
        problem = metric_problem_of(recipe, metric)
        if problem and (has_validation or path[0] == "tuning"):  # else the section is an error
            yield path, problem


def warnings_in(recipe: Recipe, varied: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the values that have no effect or are probably wrong.

    Args:
        recipe: the recipe.
        varied: the paths that a search varies.
    """
    yield from _in_section("data", recipe.data.warnings())
    yield from _orientation(recipe)
    yield from unused_values(recipe, varied)
    yield from _budget(recipe)
    if recipe.model.has_random_base:
        yield (
            ("model", "weights"),
            "the base is frozen with random weights: the head learns from random features. "
            "Set imagenet, the path of a .weights.h5 file, or model.train_base: true.",
        )


def _budget(recipe: Recipe) -> Iterator[Finding]:
    training, tuning = recipe.training, recipe.tuning
    if not (training.budget_seconds and tuning):
        return
    path: KeyPath = ("training", "budget")
    if tuning.tuner == "hyperband":
        yield (
            path,
            "is for each trial, and hyperband compares trials after the same number of epochs: "
            "those that the budget ends are at a disadvantage.",
        )
    if tuning.budget_seconds and training.budget_seconds >= tuning.budget_seconds:
        yield (
            path,
            f"is for each trial, and not below tuning.budget, {tuning.budget}: the search may end "
            "after one trial.",
        )


def _in_section(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    return (((name, *path), message) for path, message in findings)


def _classes(recipe: Recipe) -> Iterator[Finding]:
    training, names = recipe.training, recipe.data.class_names()
    task = recipe.data.task
    if loss_name(training.loss) not in recipe.task.LOSSES:
        losses = ", ".join(recipe.task.LOSSES)
        received = loss_name(training.loss)
        yield (
            ("training", "loss"),
            f"expected one of: {losses}, for data.task: {task}. Received {received}.",
        )
        return
    classes = len(names) if names else None
    yield from recipe.task.problems(training, classes)
    problem = recipe.model.label_problem(recipe.task.LABEL_KIND, classes)
    if problem:
        yield ("model", "architecture"), problem
    unknown = unknown_class(training.class_weight, names) if names else None
    if unknown:
        name, message = unknown
        yield ("training", "class_weight", name), message


def _exclusive(recipe: Recipe) -> Iterator[Finding]:
    """Yield keys that have no meaning where an image may be of several classes."""
    if recipe.task.IS_EXCLUSIVE:
        return
    for name, section, key in (
        ("data", recipe.data, "sampling"),
        ("training", recipe.training, "class_weight"),
        ("training", recipe.training, "top_k"),
    ):
        if getattr(section, key) != type(section).model_fields[key].default:
            message = f"needs images of one class each, and data.task is {recipe.data.task}"
            yield (name, key), f"{message}. Remove this key."
    if not recipe.task.SMOOTHS_LABELS and recipe.regularization.label_smoothing:
        message = f"needs classes, and data.task is {recipe.data.task}. Remove this key."
        yield ("regularization", "label_smoothing"), message


def _inputs(recipe: Recipe) -> Iterator[Finding]:
    """Yield what the model cannot do with examples that are numbers, not images."""
    if isinstance(recipe.data, ImageSourceConfig):
        return
    if recipe.model.takes_numbers:
        yield from _in_section("model", recipe.model.layer_problems(None))
        return
    names = [name for name, config in ARCHITECTURES.items() if config.takes_numbers]
    yield (
        ("model", "architecture"),
        f"{recipe.model.architecture} needs images, and the source {recipe.data.source} has "
        f"numbers. Expected one of: {', '.join(names)}.",
    )


def _image_size(recipe: Recipe, size: tuple[int, int]) -> Iterator[Finding]:
    height, width = size
    problem = recipe.model.image_size_problem(height, width)
    if problem:
        yield _IMAGE_SIZE, f"{problem}. Received [{height}, {width}]."
    yield from _in_section("model", recipe.model.layer_problems(size))
    for path, crop in _augmentation(recipe):
        if isinstance(crop, augmentation.RandomCrop) and (
            crop.height > height or crop.width > width
        ):
            message = f"expected a window within data.image_size [{height}, {width}]"
            yield path, f"{message}. Received {crop.height}×{crop.width}."


def _augmentation(recipe: Recipe) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the path and the section of each operation."""
    for i, entry in enumerate(augmentation_of(recipe.data)):
        name, operation = unwrap_single_key(entry)
        yield ("data", "augmentation", i, name), operation


def _warmup(recipe: Recipe, in_doubt: Collection[KeyPath]) -> Iterator[Finding]:
    for used in used_schedules(recipe):
        warmup = getattr(unwrap_single_key(used.entry)[1], "warmup", 0.0)
        if warmup >= used.epochs and used.epochs_path not in in_doubt:
            limit = f"{'.'.join(map(str, used.epochs_path))}, {used.epochs}"
            yield used.path, f"expected a warmup shorter than {limit}. Received {warmup}."


def _fine_tuning_rate(recipe: Recipe) -> Iterator[Finding]:
    fine_tune = recipe.training.fine_tune
    optimizer = fine_tune.optimizer if fine_tune else None
    if optimizer and "learning_rate" not in optimizer.model_fields_set:
        yield (
            ("training", "fine_tune", "optimizer"),
            f"needs learning_rate, such as 1e-5. The default of {optimizer.name}, "
            f"{optimizer.learning_rate:g}, is not meant for a pretrained base.",
        )


def _clipping(path: KeyPath, optimizer: OptimizerConfig) -> Iterator[Finding]:
    keys = ("clipnorm", "clipvalue", "global_clipnorm")
    used = [key for key in keys if getattr(optimizer, key) is not None]
    for key in used[1:]:
        yield (*path, key), f"cannot be used together with {used[0]}. Remove one of them."


def _accumulator(path: KeyPath, optimizer: OptimizerConfig) -> Iterator[Finding]:
    if optimizer.name != "ftrl":
        return
    ftrl: Any = optimizer
    is_zero = ftrl.initial_accumulator_value < _MIN_FLOAT32
    if is_zero and not ftrl.beta and not ftrl.l2_regularization_strength:
        message = "0 is divided by 0 where a gradient is 0. Set a larger number, or optimizer.beta."
        yield (*path, "initial_accumulator_value"), message


def _orientation(recipe: Recipe) -> Iterator[Finding]:
    if not (isinstance(recipe.data, ImageSourceConfig) and recipe.data.orientation_matters):
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
