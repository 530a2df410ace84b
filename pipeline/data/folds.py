"""Folds of cross-validation: the training and validation images, divided again and again."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.data.splits import Images, Split, Splits
from pipeline.errors import DataError, escape_unprintable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fold:
    """A division of the training and validation images.

    Attributes:
        number: from 1, over all repeats.
        train: int (n,), the images to train on.
        validation: int (m,), the images that choose the epoch; None without validation images.
        test: int (k,), the images that judge the model.
    """

    number: int
    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray


def draw_folds(splits: Splits, *, count: int, repeats: int, seed: int) -> list[Fold]:
    """Divide the training and validation images into folds.

    In each repeat, every image judges one model, and chooses the epoch of another one if the data
    has validation images: those that judge choose nothing. Every fold has the same share of each
    class. Images of a group are in one fold.

    Args:
        splits: the images. Those of the test split are in no fold.
        count: the number of folds, 3 or more.
        repeats: how often the images are divided.
        seed: of the first division; that of the others follows it.

    Returns:
        `count` folds for each repeat. Their indices are those of `pooled_images(splits)`.

    Raises:
        DataError: if there are too few images or groups of images.
    """
    pool = pooled_images(splits)
    members = splits.task.class_counts(pool.labels, len(splits.class_names))
    rare = [splits.class_names[label] for label in np.flatnonzero(members < count)]
    if rare:
        logger.warning(
            f"training.folds: {escape_unprintable(', '.join(rare))}: fewer than {count} "
            f"{splits.unit}. Some folds have none of them."
        )
    folds: list[Fold] = []
    for repeat in range(repeats):
        parts = _divide(pool, count=count, seed=seed + repeat)
        for index, test in enumerate(parts):
            following = parts[(index + 1) % count]
            validation = None if splits.validation is None else following
            held_out = [test] if validation is None else [test, validation]
            train = np.delete(np.arange(len(pool)), np.concatenate(held_out))
            folds.append(Fold(len(folds) + 1, train, validation, test))
    return folds


def pooled_images(splits: Splits) -> Split:
    """Return the training images followed by the validation images, which are not read."""
    train, validation = splits.train, splits.validation
    if validation is None:
        return train
    is_grouped = train.groups is not None and validation.groups is not None
    return Split(
        _JoinedImages(train.images, validation.images, first_count=len(train)),
        labels=np.concatenate([train.labels, validation.labels]),
        names=[*train.names, *validation.names],
        image_digests=np.concatenate([train.image_digests, validation.image_digests]),
        digest=hashlib.sha256(f"{train.digest} {validation.digest}".encode()).hexdigest(),
        groups=np.concatenate([train.groups, validation.groups]) if is_grouped else None,
        task=train.task,
    )


def splits_of_fold(splits: Splits, fold: Fold) -> Splits:
    """Return the images of a fold as splits, which are not read: `test` is what judges."""
    pool = pooled_images(splits)
    return dataclasses.replace(
        splits,
        train=_select(pool, fold.train),
        validation=None if fold.validation is None else _select(pool, fold.validation),
        test=_select(pool, fold.test),
        duplicates=None,
    )


def _divide(pool: Split, *, count: int, seed: int) -> Sequence[np.ndarray]:
    """Return the indices of each fold."""
    groups = pool.groups
    is_grouped = groups is not None and len(np.unique(groups)) < len(pool)
    folding = (StratifiedGroupKFold if is_grouped else StratifiedKFold)(
        count, shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # `draw_folds` warns
        try:
            parts = [test for _, test in folding.split(pool.strata, pool.strata, groups)]
        except ValueError:  # fewer images of every class, or fewer groups
            parts = []
    if not parts or not all(len(part) for part in parts):
        raise DataError(
            f"training.folds: the {len(pool):,} training and validation examples are too few, or "
            f"too few groups of those that belong together, for {count} folds. Set fewer folds."
        )
    return parts


def _select(split: Split, indices: np.ndarray) -> Split:
    """Return some images of a split, which are not read."""
    return Split(
        _SelectedImages(split.images, indices),
        labels=split.labels[indices],
        names=[split.names[index] for index in indices],
        image_digests=split.image_digests[indices],
        digest=hashlib.sha256(f"{split.digest} {indices.tolist()}".encode()).hexdigest(),
        groups=None if split.groups is None else split.groups[indices],
        task=split.task,
    )


@dataclass(frozen=True)
class _JoinedImages:
    """Images followed by others of the same shape."""

    first: Images
    second: Images
    first_count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.first.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.first.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        pixels = np.empty((len(indices), *self.shape), self.dtype)
        is_first = indices < self.first_count
        if is_first.any():
            pixels[is_first] = self.first.read(indices[is_first])
        if not is_first.all():
            pixels[~is_first] = self.second.read(indices[~is_first] - self.first_count)
        return pixels

    def part(self, indices: np.ndarray) -> Images:
        is_first = indices < self.first_count
        first = self.first.part(indices[is_first])
        second = self.second.part(indices[~is_first] - self.first_count)
        joined = _JoinedImages(first, second, int(is_first.sum()))
        places = np.where(is_first, np.cumsum(is_first), is_first.sum() + np.cumsum(~is_first)) - 1
        return _SelectedImages(joined, places)


@dataclass(frozen=True)
class _SelectedImages:
    """Some of other images, by their indices (n,)."""

    images: Images
    indices: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.images.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.images.read(self.indices[indices])

    def part(self, indices: np.ndarray) -> Images:
        return self.images.part(self.indices[indices])
