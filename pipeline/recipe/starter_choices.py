"""Chooses the values of a first recipe from the statistics of a data set, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.dataset_statistics import DatasetStatistics, ImageSizes
from pipeline.data.image_loading import allowed_unreadable
from pipeline.errors import DataError, UsageError
from pipeline.models.applications import APPLICATIONS
from pipeline.suggestions import did_you_mean

DEFAULT_BASE = "MobileNetV2"

_LENET_SIDE = 32  # pixels
_MAX_TINY_SIDE = 40
_TRAINED_SIDE = 224  # of most networks of keras.applications
_KEPT_BY_CROP = 0.6
_SAME_SHAPE = 1.15  # the widest aspect ratio by the narrowest
_MIN_FOR_TEST, _MIN_OF_CLASS_FOR_TEST = 200, 15
_MAX_FEATURES = 20_000  # augmented images whose features are computed before training
_MAX_VIEWS = 10
_LENET_STEPS = 4_000
_GRAY = 0.99
_MANY_CLASSES = 20

_ORIENTED = re.compile(
    r"(?:^|[\W_])(?:left|right|up|down|north|south|east|west|arrow|digits?|letters?|characters?"
    r"|clockwise|lefthand|righthand|[0-9]|[a-zA-Z])(?:$|[\W_])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Choice:
    """A value of a recipe.

    Attributes:
        key: its dotted path.
        value: as in a recipe; a path is not relative to the recipe yet.
        reason: in one line; empty if there is nothing to say.
    """

    key: str
    value: Any
    reason: str = ""


def choose_values(
    statistics: DatasetStatistics, *, base: str | Path | None = None, weights: Path | None = None
) -> tuple[Choice, ...]:
    """Return the values of a recipe that fits a data set, in their order in the recipe.

    Args:
        statistics: of the data set.
        base: the pretrained network, a name in keras.applications or a .keras file; None to choose.
        weights: the file of its weights; None for those of ImageNet, which Keras downloads.

    Raises:
        DataError: if there is no image.
    """
    sizes = statistics.sizes
    if sizes is None or not statistics.images:
        raise DataError("There is no image to choose a recipe for.")
    if base is None and weights is None and sizes.longer_side.median <= _MAX_TINY_SIDE:
        return tuple(_lenet_choices(statistics, sizes))
    return tuple(_transfer_choices(statistics, sizes, base or DEFAULT_BASE, weights))


def check_network(base: str | None, weights: Path | None) -> str | Path | None:
    """Return the name or the path of a base, after checking the options that name it.

    Raises:
        UsageError: if there is no such network or file.
    """
    if weights and not weights.is_file():
        raise UsageError(f"--weights: the file {weights} does not exist.")
    if base is None or base in APPLICATIONS:
        return base
    if not base.endswith(".keras"):
        hint = did_you_mean(base, APPLICATIONS) or f" Available: {', '.join(APPLICATIONS)}."
        raise UsageError(
            f"--base: expected a network of keras.applications or the path of a .keras file. "
            f"Received: {base}.{hint}"
        )
    if not Path(base).is_file():
        raise UsageError(f"--base: the file {base} does not exist.")
    if weights:
        raise UsageError(f"--weights: {base} contains its own weights. Leave this option out.")
    return Path(base).absolute()


def _lenet_choices(statistics: DatasetStatistics, sizes: ImageSizes) -> Iterator[Choice]:
    training = sum(statistics.training_counts)
    batch = 32 if training < 2_000 else 64 if training < 10_000 else 128
    yield from lenet_size(sizes)
    yield from channels(statistics)
    yield from split_shares(statistics)
    yield from grouping(statistics)
    yield from bad_files(statistics)
    steps = math.ceil(training / batch)
    yield Choice("data.batch_size", batch, f"{training:,} training images are {steps:,} steps.")
    yield Choice(
        "data.augmentation",
        [{"random_translation": {"height_factor": 0.08, "width_factor": 0.08}}],
        "Small shifts only: a mirrored or turned character is another one.",
    )
    yield Choice(
        "model.architecture",
        "lenet",
        f"The images are tiny ({_pixels(sizes.longer_side.median)} on the longer side), so a small "
        "network is enough and nothing is downloaded.",
    )
    yield Choice("model.activation", "relu")
    yield Choice("model.pooling", "max")
    yield Choice(
        "regularization",
        {"dropout": 0.25},
        "All weights are trained, so a quarter of the hidden units is left out in each step.",
    )
    yield Choice("optimizer", {"name": "adam", "learning_rate": 2e-3, "schedule": {"cosine": {}}})
    epochs = min(max(math.ceil(_LENET_STEPS / steps), 12), 60)
    yield Choice("training.epochs", epochs, f"About {epochs * steps:,} steps in all.")
    yield Choice(
        "training.early_stopping",
        {"monitor": "val_log_loss", "patience": max(epochs // 3, 5)},
        "Stops when the validation images no longer get better.",
    )
    yield from top_k(statistics)


def _transfer_choices(
    statistics: DatasetStatistics, sizes: ImageSizes, base: str | Path, weights: Path | None
) -> Iterator[Choice]:
    training = sum(statistics.training_counts)
    yield transfer_size(sizes, base)
    yield resize(sizes)
    yield from split_shares(statistics)
    yield from grouping(statistics)
    yield from bad_files(statistics)
    batch = 16 if training < 150 else 32
    steps = math.ceil(training / batch)
    yield Choice("data.batch_size", batch, f"{training:,} training images are {steps:,} steps.")
    augmented = augmentation(statistics)
    yield augmented
    yield Choice(
        "model.architecture",
        "transfer",
        f"A pretrained network: {training:,} images are too few to train one from scratch."
        if training < 50_000
        else "A pretrained network learns faster than one from scratch.",
    )
    yield from base_and_weights(base, weights)
    yield Choice(
        "regularization",
        {"label_smoothing": 0.1, "initializer": "zeros"},
        "The new head is one layer; smoothed labels keep it from being too certain.",
    )
    yield Choice(
        "optimizer",
        {"name": "adam", "learning_rate": 2e-2, "schedule": {"cosine": {}}},
        "Only the head is trained, which takes a high learning rate that falls to 0.",
    )
    yield Choice("training.epochs", 30, "An epoch on cached features takes little time.")
    yield Choice(
        "training.early_stopping",
        {"monitor": "val_accuracy", "patience": 15},
        "The epoch that is best on the validation images is kept.",
    )
    if augmented.value:
        yield from views(training)
    yield from top_k(statistics)


def lenet_size(sizes: ImageSizes) -> Iterator[Choice]:
    """Choose the image size of LeNet and how images are fitted into it."""
    width, height = sizes.most_common
    is_uniform = sizes.width.lowest == sizes.width.highest and (
        sizes.height.lowest == sizes.height.highest
    )
    if is_uniform and max(width, height) <= _LENET_SIDE:
        reason = f"All images are {width}×{height} pixels; nothing is resized."
        yield Choice("data.image_size", [height, width], reason)
        return
    reason = f"LeNet takes up to {_LENET_SIDE}×{_LENET_SIDE} pixels; {_sides(sizes)}"
    yield Choice("data.image_size", [_LENET_SIDE, _LENET_SIDE], reason)
    if sizes.aspect.highest > _SAME_SHAPE * sizes.aspect.lowest:
        reason = f"The images are {_ratio(sizes)} times as wide as high; borders keep their shape."
        yield Choice("data.resize", "pad", reason)
    else:
        yield Choice("data.resize", "squash", "All images have about the same shape.")


def transfer_size(sizes: ImageSizes, base: str | Path) -> Choice:
    """Choose the image size of a pretrained network."""
    shorter = sizes.shorter_side.median
    side = _TRAINED_SIDE if shorter >= 112 else 160 if shorter >= 64 else 128
    name = Path(base).name
    if isinstance(base, str) and base in APPLICATIONS:
        side = max(side, APPLICATIONS[base].min_side)
    if side == _TRAINED_SIDE:
        reason = f"The size that networks such as {name} are trained at; {_sides(sizes)}"
    else:
        reason = f"Larger would show no more: {_sides(sizes)}"
    return Choice("data.image_size", [side, side], reason)


def resize(sizes: ImageSizes) -> Choice:
    """Choose how photographs of another shape are fitted into the image size.

    On magnetic tiles, of very different shapes, squashing was better than padding by 3 points of
    accuracy, and better than cropping by 10.
    """
    kept = f"{sizes.kept_by_crop:.0%}"
    if sizes.kept_by_crop >= _KEPT_BY_CROP:
        return Choice(
            "data.resize", "crop", f"A central square shows {kept} or more of nine in ten images."
        )
    return Choice(
        "data.resize",
        "squash",
        f"A central square would show only {kept} of some images, which are "
        f"{_ratio(sizes)} times as wide as high.",
    )


def channels(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose grayscale where no image has colors."""
    if statistics.gray >= _GRAY:
        yield Choice("data.channels", 1, "The images have no colors.")


def split_shares(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose the shares of the splits that the data does not have."""
    images, smallest = statistics.images, min(statistics.class_counts)
    share = 0.2 if images < 5_000 else 0.15 if images < 20_000 else 0.1
    if "val" not in statistics.given:
        yield Choice(
            "data.validation",
            share,
            f"About {share * images:,.0f} images, which choose the best epoch.",
        )
    if {"val", "test"} & set(statistics.given):
        return
    if images >= _MIN_FOR_TEST and smallest >= _MIN_OF_CLASS_FOR_TEST:
        reason = f"About {share * images:,.0f} images that are evaluated once, at the end."
        yield Choice("data.test", share, reason)
    else:
        yield Choice(
            "data.test",
            0.0,
            f"With {images:,} images, {smallest:,} of the smallest class, a test split would say "
            "little; val_accuracy is slightly optimistic.",
        )


def grouping(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose the groups of images that are drawn into the same split."""
    guess = statistics.groups
    if guess and guess.is_certain and "val" not in statistics.given:
        yield Choice(
            "data.group_by",
            {guess.key: guess.value},
            f"{guess.groups:,} groups such as {guess.example}: images of one group would make the "
            "metrics too good if they were in two splits.",
        )


def bad_files(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Allow as many unreadable files as there are, if they are more than by default."""
    bad = len(statistics.unreadable)
    total = bad + statistics.images
    if bad > allowed_unreadable(None, total):
        yield Choice(
            "data.max_bad",
            math.ceil(bad / total * 100) / 100,
            f"{bad:,} of {total:,} files cannot be decoded; `pipeline inspect` lists them.",
        )


def augmentation(statistics: DatasetStatistics) -> Choice:
    """Choose transformations that keep the class of a photograph."""
    training = sum(statistics.training_counts)
    key = "data.augmentation"
    if training > _MAX_FEATURES // 2:
        return Choice(
            key, [], f"None: {training:,} training images vary enough, and it would take long."
        )
    small = [{"random_translation": {"height_factor": 0.05, "width_factor": 0.05}}]
    oriented = [name for name in statistics.class_names if _ORIENTED.search(name)]
    if oriented:
        reason = f"Not mirrored: the mirror image of {oriented[0]!r} may be of another class."
        return Choice(key, small, reason)
    if statistics.gray >= _GRAY:
        return Choice(
            key,
            small,
            "Not mirrored: gray images may be scans, such as X-rays, whose sides differ. Add "
            "random_flip if yours may be mirrored.",
        )
    return Choice(
        key,
        [{"random_flip": {"mode": "horizontal"}}],
        "Photographs in color show the same class when mirrored; upside down, they may not.",
    )


def base_and_weights(base: str | Path, weights: Path | None) -> Iterator[Choice]:
    """Choose the pretrained network."""
    if isinstance(base, Path):
        yield Choice("model.base", base, "It contains its own weights.")
        return
    reason = "Small and fast without a GPU." if base == DEFAULT_BASE else ""
    yield Choice("model.base", base, reason)
    if weights:
        yield Choice("model.weights", weights, "Not downloaded: this file has them.")
    else:
        yield Choice(
            "model.weights",
            "imagenet",
            "Keras downloads them once. Without a network, set the path of a .weights.h5 file.",
        )


def views(training: int) -> Iterator[Choice]:
    """Choose how many augmented versions of each image features are computed of."""
    count = min(max(_MAX_FEATURES // max(training, 1), 1), _MAX_VIEWS)
    if count < _MAX_VIEWS:
        yield Choice(
            "training.views",
            count,
            f"{count} augmented versions of each of the {training:,} training images.",
        )


def top_k(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose a metric that is kinder where there are many classes."""
    classes = len(statistics.class_names)
    if classes >= _MANY_CLASSES:
        yield Choice(
            "training.top_k", 5, f"Of {classes} classes, is the true one among the best five?"
        )


def _ratio(sizes: ImageSizes) -> str:
    return f"{sizes.aspect.lowest:.2f} to {sizes.aspect.highest:.2f}"


def _sides(sizes: ImageSizes) -> str:
    shorter = sizes.shorter_side
    if shorter.lowest == shorter.highest:
        return f"the shorter side of all images is {_pixels(shorter.lowest)}."
    return (
        f"the shorter side of the images is {shorter.lowest:,.0f} to {_pixels(shorter.highest)}, "
        f"median {shorter.median:,.0f}."
    )


def _pixels(count: float) -> str:
    return f"{count:,.0f} pixels"
