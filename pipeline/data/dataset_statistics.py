"""Statistics of a data set: its classes, its images and what is wrong with its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pipeline.data.splits import UnreadableFile

CopyKind = Literal["same file", "same pixels", "looks the same"]

# Images of the largest class for each of the smallest, from which classes are weighted.
NOTABLE_IMBALANCE = 3.0

_CROPPED_MOST = 10  # percentile: a few extreme shapes decide nothing


@dataclass(frozen=True)
class Spread:
    """The lowest, the median and the highest of several values."""

    lowest: float
    median: float
    highest: float


@dataclass(frozen=True)
class ImageSizes:
    """The sizes of images in pixels.

    Attributes:
        width: of the images, upright.
        height: likewise.
        aspect: width by height.
        shorter_side: of each image.
        longer_side: of each image.
        most_common: the most frequent width and height.
        most_common_count: images of that size.
        kept_by_crop: the part of an image that a central square shows, which is exceeded by nine
            of ten images.
    """

    width: Spread
    height: Spread
    aspect: Spread
    shorter_side: Spread
    longer_side: Spread
    most_common: tuple[int, int]
    most_common_count: int
    kept_by_crop: float


@dataclass(frozen=True)
class Copies:
    """Images that show the same picture.

    Attributes:
        kind: `same file` and `same pixels` are facts, `looks the same` is a guess.
        names: of the images.
        splits: of each of them.
        classes: of each of them.
    """

    kind: CopyKind
    names: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def is_leak(self) -> bool:
        """Whether the picture is in more than one split."""
        return len(set(self.splits)) > 1

    @property
    def has_label_conflict(self) -> bool:
        """Whether the picture is in more than one class."""
        return len(set(self.classes)) > 1


@dataclass(frozen=True)
class GroupGuess:
    """A sign that several images show the same thing, such as a patient.

    Attributes:
        key: `level` or `pattern`, the key of `data.group_by`.
        value: of the key.
        groups: how many there are.
        example: the name of one.
        is_certain: whether the names say so, as `patient001/` does; numbers alone may mean
            anything.
    """

    key: Literal["level", "pattern"]
    value: int | str
    groups: int
    example: str
    is_certain: bool


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a data set.

    Attributes:
        class_names: in the order of the counts.
        counts: images of each class, by split; drawn splits are as a run draws them.
        given: the splits that the data itself has.
        sizes: of the images; None if there are none.
        formats: images by file format, the most frequent first.
        modes: images by Pillow mode, likewise.
        bits: the most bits that a sample has.
        sample_range: the lowest and the highest sample of images with more than 8 bits.
        gray: the fraction of images without color.
        unreadable: damaged files.
        ignored: the number of files that are not images, by suffix.
        copies: images that show the same picture.
        groups: whether the names tell groups that belong in one split.
        problems: why the data cannot be used as it is.
        split_sizes: images of each split, where an image may be of several classes.
        features: the values of each number of the examples; None for images.
    """

    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    given: tuple[str, ...] = ()
    sizes: ImageSizes | None = None
    formats: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    bits: int = 8
    sample_range: tuple[float, float] | None = None
    gray: float = 0.0
    unreadable: tuple[UnreadableFile, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    copies: tuple[Copies, ...] = ()
    groups: GroupGuess | None = None
    problems: tuple[str, ...] = ()
    split_sizes: Mapping[str, int] | None = None
    features: Mapping[str, Spread] | None = None

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Images of each class in all splits."""
        return tuple(sum(counts) for counts in zip(*self.counts.values(), strict=True)) or (
            0,
        ) * len(self.class_names)

    @property
    def has_classes(self) -> bool:
        """Whether labels are classes, not numbers, as far as there are any."""
        return bool(self.class_names) or not self.images

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(self.totals.values())

    @property
    def totals(self) -> Mapping[str, int]:
        """Images of each split."""
        if self.split_sizes is not None:
            return self.split_sizes
        return {split: sum(counts) for split, counts in self.counts.items()}

    @property
    def training_counts(self) -> tuple[int, ...]:
        """Images of each class in the training split."""
        return self.counts.get("train", (0,) * len(self.class_names))

    @property
    def imbalance(self) -> float | None:
        """Training images of the largest class for each of the smallest; None without images."""
        counts = self.training_counts
        smallest = min(counts, default=0)
        return max(counts) / smallest if smallest else None


def summarize_sizes(widths: ArrayLike, heights: ArrayLike) -> ImageSizes | None:
    """Summarize the widths and heights of images, in pixels; None if there are none."""
    width, height = np.asarray(widths, np.int64), np.asarray(heights, np.int64)
    if not len(width):
        return None
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    sizes, counts = np.unique(np.stack([width, height], axis=1), axis=0, return_counts=True)
    common = int(np.argmax(counts))
    return ImageSizes(
        width=spread(width),
        height=spread(height),
        aspect=spread(width / height),
        shorter_side=spread(shorter),
        longer_side=spread(longer),
        most_common=(int(sizes[common, 0]), int(sizes[common, 1])),
        most_common_count=int(counts[common]),
        kept_by_crop=float(np.percentile(shorter / longer, _CROPPED_MOST)),
    )


def spread(values: np.ndarray) -> Spread:
    """Return the lowest, the median and the highest of some values."""
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))
