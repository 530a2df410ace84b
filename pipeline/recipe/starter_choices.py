"""Chooses the values of a first recipe from the statistics of a data set, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pipeline.data.dataset_statistics import NOTABLE_IMBALANCE, DatasetStatistics, ImageSizes
from pipeline.errors import DataError, UsageError
from pipeline.models.applications import APPLICATIONS
from pipeline.recipe.data_choices import (
    MAX_FEATURES,
    Choice,
    augmentation,
    bad_files,
    channels,
    describe_pixels,
    grouping,
    lenet_size,
    resize,
    split_shares,
    training_images,
    transfer_size,
)
from pipeline.suggestions import did_you_mean

DEFAULT_BASE = "MobileNetV2"

_MAX_TINY_SIDE = 40
_MAX_VIEWS = 10
_LENET_STEPS = 4_000
_MANY_CLASSES = 20


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
    training = training_images(statistics)
    batch = 32 if training < 2_000 else 64 if training < 10_000 else 128
    yield from lenet_size(sizes)
    yield from channels(statistics)
    yield from split_shares(statistics)
    yield from grouping(statistics)
    yield from bad_files(statistics)
    yield _batch_size(batch, training)
    yield Choice(
        "data.augmentation",
        [
            {
                "random_translation": {
                    "height_factor": 0.08,
                    "width_factor": 0.08,
                    "fill_mode": "nearest",
                }
            }
        ],
        "Small shifts only: a mirrored or turned character is another one.",
    )
    yield Choice(
        "model.architecture",
        "lenet",
        f"The images are tiny ({describe_pixels(sizes.longer_side.median)} on the longer side), so "
        "a small network is enough and nothing is downloaded.",
    )
    yield Choice("model.activation", "relu")
    yield Choice("model.pooling", "max")
    yield Choice(
        "regularization",
        {"dropout": 0.25},
        "All weights are trained, so a quarter of the hidden units is left out in each step.",
    )
    yield Choice("optimizer", {"name": "adam", "learning_rate": 2e-3, "schedule": {"cosine": {}}})
    steps = math.ceil(training / batch)
    epochs = min(max(math.ceil(_LENET_STEPS / steps), 12), 60)
    yield Choice("training.epochs", epochs, f"About {epochs * steps:,} steps in all.")
    yield Choice(
        "training.early_stopping",
        {"monitor": "val_log_loss", "patience": max(epochs // 3, 5)},
        "Stops when the validation images no longer get better.",
    )
    yield from class_weight(statistics)
    yield from top_k(statistics)


def _transfer_choices(
    statistics: DatasetStatistics, sizes: ImageSizes, base: str | Path, weights: Path | None
) -> Iterator[Choice]:
    training = training_images(statistics)
    yield transfer_size(sizes, base)
    yield resize(sizes)
    yield from split_shares(statistics)
    yield from grouping(statistics)
    yield from bad_files(statistics)
    batch = 16 if training < 150 else 32
    yield _batch_size(batch, training)
    augmented = augmentation(statistics)
    yield augmented
    yield Choice(
        "model.architecture",
        "transfer",
        f"A pretrained network: about {training:,} images are too few to train one from scratch."
        if training < 50_000
        else "A pretrained network learns faster than one from scratch.",
    )
    yield from base_and_weights(base, weights)
    yield Choice(
        "regularization",
        {"l2": 1e-3, "initializer": "zeros"},
        "The new head is one layer; a penalty of its weights keeps it from being too certain.",
    )
    yield Choice(
        "optimizer",
        {"name": "adam", "learning_rate": 1e-2, "schedule": {"cosine": {}}},
        "Only the head is trained, which takes a high learning rate that falls to 0.",
    )
    yield Choice("training.epochs", 60, "An epoch on cached features takes little time.")
    yield Choice(
        "training.early_stopping",
        {"monitor": "val_log_loss", "patience": 20},
        "The epoch that is best on the validation images is kept: by their log loss, which depends "
        "less on chance than their accuracy.",
    )
    if augmented.value:
        yield from views(training)
    yield from class_weight(statistics)
    yield from top_k(statistics)


def _batch_size(batch: int, training: int) -> Choice:
    steps = math.ceil(training / batch)
    unit = "step" if steps == 1 else "steps"
    return Choice(
        "data.batch_size", batch, f"About {training:,} training images are {steps:,} {unit}."
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
    count = min(max(MAX_FEATURES // max(training, 1), 1), _MAX_VIEWS)
    if count < _MAX_VIEWS:
        yield Choice(
            "training.views",
            count,
            f"{count} augmented versions of each of about {training:,} training images.",
        )


def is_imbalanced(statistics: DatasetStatistics) -> bool:
    """Return whether classes are weighted."""
    return (statistics.imbalance or 1.0) >= NOTABLE_IMBALANCE


def class_weight(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose class weights where some classes are much rarer than others."""
    if is_imbalanced(statistics):
        counts, names = statistics.training_counts, statistics.class_names
        rarest, most = (names[counts.index(select(counts))] for select in (min, max))
        yield Choice(
            "training.class_weight",
            "balanced",
            f"{most} has {statistics.imbalance:.1f} times as many training images as {rarest}, so "
            "images of rare classes weigh more.",
        )


def top_k(statistics: DatasetStatistics) -> Iterator[Choice]:
    """Choose a metric that is kinder where there are many classes."""
    classes = len(statistics.class_names)
    if classes >= _MANY_CLASSES:
        yield Choice(
            "training.top_k", 5, f"Of {classes} classes, is the true one among the best five?"
        )
