"""What a data source returns: the images of each split, their labels and names."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import DataError
from pipeline.tasks import classification
from pipeline.tasks.task import Task
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    import numpy as np


class Images(Protocol):
    """Images, or other examples that are numbers, which are read by index."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of every image; of numbers, how many an example has."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for pixels, float32 for numbers."""

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the examples at `indices` (n,), (n, *shape); pixels are in 0..255."""

    def part(self, indices: np.ndarray) -> Images:
        """Return the images at `indices` (n,), for another process: without what is kept here."""


@dataclass(frozen=True)
class ArrayImages:
    """Images, or other examples, in memory.

    Attributes:
        array: uint8 (n, height, width, channels), or float32 (n, numbers).
    """

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.array[indices]

    def part(self, indices: np.ndarray) -> ArrayImages:
        return ArrayImages(self.array[indices])


@dataclass(frozen=True)
class Split:
    """The training, validation or test images.

    Attributes:
        images: the images.
        labels: of the images, as the task has them: int64 (n,), the index of each one's class in
            `Splits.class_names`, for classification.
        names: the name of each image in reports: a relative path, or a number.
        image_digests: uint8 (n, 32), SHA-256 of each file, or of the pixels before resizing if
            there is no file.
        digest: hexadecimal SHA-256 of the images as they are read and of their labels, in order.
        groups: int64 (n,), images with the same number, also in other splits, belong together;
            None if there are no groups.
        task: what is predicted.
    """

    images: Images
    labels: np.ndarray
    names: Sequence[str]
    image_digests: np.ndarray
    digest: str
    groups: np.ndarray | None = None
    task: Task = classification

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        names = {id(task): name for name, task in TASKS.items()}
        return {**self.__dict__, "task": names[id(self.task)]}  # a module is not sent

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, task=TASKS[state["task"]])

    @functools.cached_property
    def strata(self) -> np.ndarray:
        """The stratum of each image, int (n,), by its labels."""
        return self.task.strata(self.labels)

    def subset(self, indices: np.ndarray) -> Split:
        """Return some of the images, in memory.

        Args:
            indices: int (n,), which of them.
        """
        return Split(
            ArrayImages(self.images.read(indices)),
            labels=self.labels[indices],
            names=[self.names[index] for index in indices],
            image_digests=self.image_digests[indices],
            digest=hashlib.sha256(f"{self.digest} {indices.tolist()}".encode()).hexdigest(),
            task=self.task,
        )

    def hex_digests(self) -> list[str]:
        """Return the digest of each image as hexadecimal digits."""
        return [digest.tobytes().hex() for digest in self.image_digests]


@dataclass(frozen=True)
class UnreadableFile:
    """A file that cannot be decoded, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DuplicateImage:
    """One of several images that show the same picture.

    Attributes:
        split: `train`, `val` or `test`.
        index: its index in the split.
        name: its name in the split.
        label: the same number for all images that have the same labels.
        digest: hexadecimal SHA-256 of its file.
        identity: the same number for all of the images that have the same pixels; the others look
            the same.
    """

    split: str
    index: int
    name: str
    label: int
    digest: str
    identity: int


# All images of one picture, two or more, in the order train, val, test.
Duplicates = tuple[DuplicateImage, ...]


@dataclass(frozen=True)
class Splits:
    """The data of a run.

    Attributes:
        class_names: in the order of the labels.
        train: the images that the weights are trained on.
        validation: the images that the best epoch and the hyperparameters are chosen on; None if
            there are none.
        test: the images that are evaluated once, at the end; None if there are none.
        quarantined: files that could not be decoded; they are in no split.
        duplicates: the pictures of more than one image; None if they were not searched for.
        value_range: the samples that became 0 and 255, of images with more than 8 bits; None for
            the range of their type.
        ignored: the number of files that are not images, by their suffix in lower case.
        feature_names: the names of the numbers of each example; None for images.
    """

    class_names: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split | None
    quarantined: tuple[UnreadableFile, ...]
    duplicates: tuple[Duplicates, ...] | None = None
    value_range: tuple[float, float] | None = None
    ignored: Mapping[str, int] = field(default_factory=dict)
    feature_names: tuple[str, ...] | None = None

    @property
    def task(self) -> Task:
        """What is predicted."""
        return self.train.task

    def class_counts(self, name: str) -> np.ndarray:
        """Return the images of each class in a split, int (classes,)."""
        return self.task.class_counts(self.named()[name].labels, len(self.class_names))

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the class names and of every split."""
        digest = hashlib.sha256(os.fsencode("\0".join(self.class_names)))
        for name, split in self.named().items():
            digest.update(f"{name}:{split.digest}".encode())
        return digest.hexdigest()

    @property
    def are_images(self) -> bool:
        """Whether the examples are images, not other numbers."""
        return self.feature_names is None

    @property
    def unit(self) -> str:
        """What is counted, for people: `images` or `examples`."""
        return "images" if self.are_images else "examples"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of every image; of numbers, how many an example has."""
        return self.train.images.shape

    def named(self) -> dict[str, Split]:
        """Return the splits that exist, by the prefix of their metrics."""
        splits = {"train": self.train, "val": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    @property
    def verification(self) -> tuple[str, Split]:
        """The name and the images of the split that saved models are verified on.

        It is the first that exists of `val`, `test` and `train`.
        """
        splits = self.named()
        name = next(name for name in ("val", "test", "train") if name in splits)
        return name, splits[name]

    def leaked_indices(self, name: str) -> list[int]:
        """Return the indices of the images of a split that have a duplicate in an earlier split."""
        return sorted(
            copy.index
            for copies in self.duplicates or ()
            for copy in copies
            if copy.split == name != copies[0].split
        )


def describe_ignored(counts: Mapping[str, int]) -> str:
    """Return how many files of each suffix were ignored, such as `40 .txt, 2 without a suffix`."""
    named = [(count, suffix or "without a suffix") for suffix, count in counts.items()]
    return ", ".join(f"{count:,} {name}" for count, name in named)


def stratified_split(
    labels: np.ndarray, *, fractions: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Split indices at random, with the same fraction of every class in each part.

    Args:
        labels: int (n,).
        fractions: the size of each part but the first, which takes the rest.
        seed: the seed of the shuffling.

    Returns:
        One sorted int64 array of indices for the rest and one for each fraction.

    Raises:
        DataError: if the rest, or the part of a fraction above 0, would be empty.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in range(len(fractions) + 1)]
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        start = 0
        for part, fraction in enumerate(fractions, start=1):
            count = round(fraction * len(members))
            parts[part].append(members[start : start + count])
            start += count
        parts[0].append(members[start:])
    arrays = [np.sort(np.concatenate(part)) for part in parts]
    if any(part and not len(array) for array, part in zip(arrays, (1.0, *fractions), strict=True)):
        counts = ", ".join(f"{len(array):,}" for array in arrays)
        raise DataError(
            f"data.validation: the {len(labels):,} examples would be split into {counts}. Choose "
            "fractions that leave no split empty."
        )
    return arrays


def splits_from_arrays(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    class_names: tuple[str, ...],
    parts: Sequence[np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None = None,
    image_size: tuple[int, int] | None = None,
    feature_names: tuple[str, ...] | None = None,
    groups: np.ndarray | None = None,
    task: Task = classification,
) -> Splits:
    """Return the splits of images, or of other examples, in memory.

    Args:
        images: uint8 (n, height, width, 1), or numbers, float32 (n, numbers).
        labels: as the task has them, (n,) or (n, k).
        class_names: in the order of the labels.
        parts: indices of the training images, of the validation images and, unless `test` is
            given, of the test images.
        test: images and labels of a separate test split.
        image_size: height and width that images are resized to; None for numbers.
        feature_names: the names of the numbers of an example; None for images.
        groups: int64 (n,), examples with the same number belong together; None without groups.
        task: what is predicted.
    """
    import numpy as np

    from pipeline.data.image_decoding import resize_images

    def split(x: np.ndarray, y: np.ndarray, numbers: np.ndarray) -> Split:
        labels = y.astype(np.int64) if y.dtype.kind in "iu" else y
        resized = resize_images(x, image_size) if image_size else x
        return Split(
            ArrayImages(resized),
            labels,
            names=[str(number) for number in numbers],
            image_digests=_digests(x),
            digest=hashlib.sha256(resized.tobytes() + labels.tobytes()).hexdigest(),
            groups=None if groups is None else groups[numbers],
            task=task,
        )

    train, validation = (split(images[part], labels[part], part) for part in parts[:2])
    if test is not None:
        tested = split(*test, np.arange(len(test[1])))
    else:
        tested = split(images[parts[2]], labels[parts[2]], parts[2])
    return Splits(
        class_names=class_names,
        train=train,
        validation=validation if len(validation) else None,
        test=tested if len(tested) else None,
        quarantined=(),
        feature_names=feature_names,
    )


def _digests(images: np.ndarray) -> np.ndarray:
    import numpy as np

    joined = b"".join(hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)
