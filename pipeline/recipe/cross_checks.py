"""What no single section can know: contradictions between sections, and files that are absent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pipeline.config import unwrap_single_key
from pipeline.data import augmentation, image_folder, mnist
from pipeline.data.directory_layout import find_split_directories
from pipeline.data.sources import SOURCES
from pipeline.errors import DataError
from pipeline.models import lenet, transfer
from pipeline.models.applications import APPLICATIONS
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.yaml_reader import KeyPath
from pipeline.training import schedules
from pipeline.training.optimizers import schedule_of
from pipeline.training.training_config import TrainingConfig

Finding = tuple[KeyPath, str]


def errors_in(recipe: Recipe, in_doubt: Collection[KeyPath] = ()) -> Iterator[Finding]:
    """Yield the path and the wording of everything that cannot be meant.

    Args:
        recipe: the recipe, or what is left of one without the values that are wrong.
        in_doubt: keys of `TRUSTED` whose defaults stand in for something else that was meant.
    """
    for check, trusted in _CHECKS.items():
        if trusted not in in_doubt:
            yield from check(recipe)


def warnings_in(recipe: Recipe) -> Iterator[Finding]:
    """Yield the path and the wording of everything that is probably not meant."""
    yield from _augmentation_changes_labels(recipe)
    yield from _shares_are_of_no_use(recipe)
    yield from _views_are_of_no_use(recipe)


def _files_are_there(recipe: Recipe) -> Iterator[Finding]:
    data, model = recipe.data, recipe.model
    if isinstance(data, image_folder.ImageFolderConfig):
        if not _is_there(Path.is_dir, data.path) and data.download is None:
            yield ("data", "path"), f"there is no folder {data.path}, and no data.download."
    elif (
        isinstance(data, mnist.MnistConfig) and data.path and not _is_there(Path.is_file, data.path)
    ):
        yield ("data", "path"), f"there is no file {data.path}."
    if isinstance(model, transfer.TransferConfig):
        for key, value in (("base", model.base), ("weights", model.weights)):
            if isinstance(value, Path) and not _is_there(Path.is_file, value):
                yield ("model", key), f"there is no file {value}."


def _is_there(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # a name too long to be one, a folder that may not be looked into
        return False


def _classes_fit(recipe: Recipe) -> Iterator[Finding]:
    data = recipe.data
    if isinstance(data, image_folder.ImageFolderConfig) and not _is_there(Path.is_dir, data.path):
        return
    try:
        names = SOURCES[data.source].class_names(data)
    except DataError as error:
        yield ("data", "path"), str(error).removeprefix("data.path: ")
        return
    except OSError as error:
        yield ("data", "path"), f"{error.filename} cannot be read: {error.strerror}."
        return
    if names is None:
        return
    training = recipe.training
    if training.top_k and training.top_k >= len(names):
        yield (
            ("training", "top_k"),
            f"expected less than the {len(names)} classes of the data. Received {training.top_k}.",
        )
    if recipe.output == "sigmoid" and len(names) != 2:
        yield (
            ("training", "loss"),
            f"binary_cross_entropy needs two classes. The data has {len(names)}.",
        )


def _binary_has_no_topk(recipe: Recipe) -> Iterator[Finding]:
    if recipe.output == "sigmoid" and recipe.training.top_k:
        yield ("training", "top_k"), "there is no top_k with binary_cross_entropy."


def _images_fit_the_model(recipe: Recipe) -> Iterator[Finding]:
    size, model = recipe.data.image_size, recipe.model
    path: KeyPath = ("data", "image_size")
    received = f"Received [{size[0]}, {size[1]}]."
    if isinstance(model, lenet.LeNetConfig) and max(size) > lenet.SIDE:
        yield path, f"lenet takes at most [{lenet.SIDE}, {lenet.SIDE}]. {received}"
    if isinstance(model, transfer.TransferConfig) and model.application:
        smallest = APPLICATIONS[model.application].smallest
        if min(size) < smallest:
            yield path, f"{model.base} takes at least [{smallest}, {smallest}]. {received}"


def _crops_fit_in(recipe: Recipe) -> Iterator[Finding]:
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


def _only_a_base_is_fine_tuned(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.fine_tune and not isinstance(recipe.model, transfer.TransferConfig):
        yield (
            ("training", "fine_tune"),
            "there is nothing to fine-tune without a base: model.architecture is "
            f"{recipe.model.architecture}, not transfer.",
        )


def _a_file_brings_its_weights(recipe: Recipe) -> Iterator[Finding]:
    model = recipe.model
    if isinstance(model, transfer.TransferConfig) and not model.application:
        given = "weights" in model.model_fields_set
        if given:
            yield ("model", "weights"), f"{model.base} brings its own weights. Remove this key."


def _warmup_ends(recipe: Recipe) -> Iterator[Finding]:
    schedule = schedule_of(recipe.optimizer)
    if schedule is None or isinstance(schedule, schedules.PlateauSchedule):
        return
    warmup, epochs = getattr(schedule, "warmup", 0.0), recipe.training.epochs
    if warmup >= epochs:
        yield (
            ("optimizer", "schedule"),
            f"expected a warmup shorter than training.epochs {epochs}. Received {warmup}.",
        )


def _one_clipping_at_a_time(recipe: Recipe) -> Iterator[Finding]:
    keys = ("clipnorm", "clipvalue", "global_clipnorm")
    given = [key for key in keys if getattr(recipe.optimizer, key) is not None]
    for key in given[1:]:
        yield ("optimizer", key), f"Keras clips in one way at a time, and {given[0]} is set."


def _shares_are_of_no_use(recipe: Recipe) -> Iterator[Finding]:
    data = recipe.data
    if not isinstance(data, image_folder.ImageFolderConfig) or not _is_there(
        Path.is_dir, data.path
    ):
        return
    folders = find_split_directories(data.path)
    for key, split in (("validation", "val"), ("test", "test")):
        is_changed = getattr(data, key) != image_folder.ImageFolderConfig.model_fields[key].default
        if is_changed and (split in folders or (folders and key == "test")):
            yield ("data", key), f"{data.path} has folders for its splits: not used."


def _views_are_of_no_use(recipe: Recipe) -> Iterator[Finding]:
    is_changed = recipe.training.views != TrainingConfig.model_fields["views"].default
    if is_changed and not isinstance(recipe.model, transfer.TransferConfig):
        yield (
            ("training", "views"),
            f"{recipe.model.architecture} has no frozen base to keep views for: not used.",
        )


def _augmentation_changes_labels(recipe: Recipe) -> Iterator[Finding]:
    if not SOURCES[recipe.data.source].ORIENTATION_MATTERS:
        return
    for i, entry in enumerate(recipe.data.augmentation):
        name, operation = unwrap_single_key(entry)
        if isinstance(operation, augmentation.RandomFlip):
            yield (
                ("data", "augmentation", i, name),
                f"a digit flipped {operation.mode.replace('_', ' ')} is another digit or none.",
            )
        elif isinstance(operation, augmentation.RandomRotation):
            factor = operation.factor
            largest = max(map(abs, factor if isinstance(factor, tuple) else (factor,)))
            if largest > 0.2:
                yield (
                    ("data", "augmentation", i, name),
                    f"a 6 turned by {largest:g} of a full turn can become a 9.",
                )


def _only_a_registered_model_is_promoted(recipe: Recipe) -> Iterator[Finding]:
    if recipe.tracking.promote and not recipe.tracking.register_as:
        yield ("tracking", "promote"), "expected tracking.register to name the model too."


_IMAGE_SIZE: KeyPath = ("data", "image_size")
_EPOCHS: KeyPath = ("training", "epochs")

# Each check, with the key whose default it holds against other keys.
_CHECKS: dict[Callable[[Recipe], Iterator[Finding]], KeyPath | None] = {
    _files_are_there: None,
    _classes_fit: None,
    _binary_has_no_topk: None,
    _images_fit_the_model: _IMAGE_SIZE,
    _crops_fit_in: _IMAGE_SIZE,
    _only_a_base_is_fine_tuned: None,
    _a_file_brings_its_weights: None,
    _warmup_ends: _EPOCHS,
    _one_clipping_at_a_time: None,
    _only_a_registered_model_is_promoted: None,
}
TRUSTED = (_IMAGE_SIZE, _EPOCHS)
