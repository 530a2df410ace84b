"""Chooses the values of the section `data` of a first recipe, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.dataset_statistics import DatasetStatistics, ImageSizes
from pipeline.data.image_loading import allowed_unreadable
from pipeline.models.applications import APPLICATIONS

MAX_FEATURES = 20_000  # augmented images whose features are computed before training

_LENET_SIDE = 32  # pixels
_TRAINED_SIDE = 224  # of most networks of keras.applications
_KEPT_BY_CROP = 0.6
_SAME_SHAPE = 1.15  # the widest aspect ratio by the narrowest
_MIN_FOR_TEST, _MIN_OF_CLASS_FOR_TEST = 200, 15
_GRAY = 0.99

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


def training_images(statistics: DatasetStatistics) -> int:
    """Return about how many images the training split has, once the test split is drawn."""
    tested = sum(each.value for each in split_shares(statistics) if each.key == "data.test")
    return round(sum(statistics.training_counts) - tested * statistics.images)


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
    training = training_images(statistics)
    key = "data.augmentation"
    if training > MAX_FEATURES // 2:
        return Choice(
            key,
            [],
            f"None: about {training:,} training images vary enough, and it would take long.",
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


def _ratio(sizes: ImageSizes) -> str:
    return f"{sizes.aspect.lowest:.2f} to {sizes.aspect.highest:.2f}"


def _sides(sizes: ImageSizes) -> str:
    shorter = sizes.shorter_side
    if shorter.lowest == shorter.highest:
        return f"the shorter side of all images is {describe_pixels(shorter.lowest)}."
    return (
        f"the shorter side of the images is {shorter.lowest:,.0f} to "
        f"{describe_pixels(shorter.highest)}, median {shorter.median:,.0f}."
    )


def describe_pixels(count: float) -> str:
    return f"{count:,.0f} pixels"
