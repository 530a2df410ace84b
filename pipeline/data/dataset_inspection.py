"""Inspects a data set: what its files are, whatever is wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset_statistics import (
    Copies,
    CopyKind,
    DatasetStatistics,
    Spread,
    spread,
    summarize_sizes,
)
from pipeline.data.file_examination import Verdict
from pipeline.data.file_root import FileRoot
from pipeline.data.group_detection import guess_groups
from pipeline.data.image_index import index_files
from pipeline.data.image_loading import draw_splits
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.picture_copies import PictureCopies, find_copies
from pipeline.data.remote_path import suffix_of
from pipeline.data.split_problems import describe_split_problem
from pipeline.data.splits import Splits, UnreadableFile
from pipeline.tasks.task import Task

_COLOR_DIFFERENCE = 8  # of two channels of a gray image, after lossy compression


@dataclass(frozen=True)
class InspectedFiles:
    """A data set whose images are files.

    Attributes:
        statistics: of the data set.
        root: what the names start from.
        names: of the images.
        labels: of the images, as the task has them.
        task: what is predicted.
    """

    statistics: DatasetStatistics
    root: FileRoot
    names: Sequence[str]
    labels: np.ndarray
    task: Task


def inspect_listing(
    listing: Listing,
    *,
    fractions: Mapping[str, float],
    split_seed: int,
    problems: Sequence[str] = (),
) -> InspectedFiles:
    """Return what the files of a listing are, after reading those that are new or changed.

    Args:
        listing: the files.
        fractions: the share of each split that is drawn.
        split_seed: of the draw.
        problems: why the data cannot be used as it is; otherwise, its splits are checked.

    Raises:
        PipelineError: if the cache directory is not writable.
    """
    files = index_files(listing.root, listing.names)
    numbers = np.flatnonzero(files.verdicts == Verdict.IMAGE)
    names = [listing.names[number] for number in numbers.tolist()]
    copies = find_copies(listing.root, names, files.digests[numbers], files.thumbnails)
    splits = draw_splits(listing, numbers, copies, fractions=fractions, seed=split_seed)
    records, labels = files.records[numbers], listing.labels[numbers]
    wide = records[~np.isnan(records["lowest"])]
    statistics = DatasetStatistics(
        class_names=tuple(listing.class_names),
        counts=_counts(listing, labels, splits),
        given=tuple(name for name in SPLITS if name in listing.given_splits),
        sizes=summarize_sizes(records["width"], records["height"]),
        formats=_ranked(value.decode() for value in records["format"].tolist()),
        modes=_ranked(value.decode() for value in records["mode"].tolist()),
        bits=int(records["bits"].max(initial=8)),
        sample_range=(float(wide["lowest"].min()), float(wide["highest"].max()))
        if len(wide)
        else None,
        gray=_gray_fraction(files.thumbnails()),
        unreadable=tuple(
            UnreadableFile(listing.names[number], files.reasons[number])
            for number in np.flatnonzero(files.verdicts == Verdict.UNREADABLE).tolist()
        ),
        ignored=_ranked(
            suffix_of(listing.names[number])
            for number in np.flatnonzero(files.verdicts == Verdict.NO_IMAGE).tolist()
        ),
        copies=_copies(
            copies,
            names,
            [SPLITS[split] for split in splits.tolist()],
            [listing.task.describe_label(label, listing.class_names) for label in labels],
            files.digests[numbers],
        ),
        groups=guess_groups(
            [listing.keys[number] for number in numbers.tolist()],
            listing.task.strata(labels).tolist(),
        ),
        problems=tuple(problems) or _split_problems(listing, labels, splits, fractions),
        split_sizes=None
        if listing.task.IS_EXCLUSIVE
        else {name: int((splits == index).sum()) for index, name in enumerate(SPLITS)},
    )
    return InspectedFiles(statistics, listing.root, names, labels, listing.task)


def inspect_splits(splits: Splits) -> DatasetStatistics:
    """Return the statistics of images, or of other examples, in memory."""
    counts = {name: tuple(splits.class_counts(name).tolist()) for name in splits.named()}
    if splits.feature_names is not None:
        return DatasetStatistics(
            class_names=splits.class_names,
            counts=counts,
            given=tuple(counts),
            features=_features(splits, splits.feature_names),
            split_sizes={name: len(split) for name, split in splits.named().items()},
        )
    height, width, channels = splits.input_shape
    total = sum(map(sum, counts.values()))
    return DatasetStatistics(
        class_names=splits.class_names,
        counts=counts,
        given=tuple(counts),
        sizes=summarize_sizes([width] * total, [height] * total),
        modes={"L" if channels == 1 else "RGB": total},
        gray=float(channels == 1),
    )


def _features(splits: Splits, names: Sequence[str]) -> dict[str, Spread]:
    """Return the values of each number, in all splits."""
    read = [split.images.read(np.arange(len(split))) for split in splits.named().values()]
    columns = np.concatenate(read).T
    return {name: spread(values) for name, values in zip(names, columns, strict=True)}


def _counts(listing: Listing, labels: np.ndarray, splits: np.ndarray) -> dict[str, tuple[int, ...]]:
    classes = len(listing.class_names)
    return {
        name: tuple(listing.task.class_counts(labels[splits == index], classes).tolist())
        for index, name in enumerate(SPLITS)
        if (splits == index).any()
    }


def _split_problems(
    listing: Listing, labels: np.ndarray, splits: np.ndarray, fractions: Mapping[str, float]
) -> tuple[str, ...]:
    """Return why a run cannot use the splits that the images are in."""
    problems = []
    for index, name in enumerate(SPLITS):
        if name in {"train", *listing.given_splits, *fractions}:
            own = labels[splits == index]
            counts = listing.task.class_counts(own, len(listing.class_names)).tolist()
            problems.append(describe_split_problem(listing, name, len(own), counts, fractions))
    return tuple(filter(None, problems))


def _ranked(values: Iterable[str]) -> Mapping[str, int]:
    return dict(Counter(values).most_common())


def _gray_fraction(thumbnails: np.ndarray) -> float:
    """Return the fraction of images whose channels are equal."""
    if not len(thumbnails):
        return 0.0
    spread = thumbnails.max(axis=3).astype(np.int16) - thumbnails.min(axis=3)
    return float((spread.max(axis=(1, 2)) <= _COLOR_DIFFERENCE).mean())


def _copies(
    found: PictureCopies,
    names: Sequence[str],
    splits: Sequence[str],
    classes: Sequence[str],
    digests: np.ndarray,
) -> tuple[Copies, ...]:
    """Return the images of each picture, those in more than one split first, facts first.

    Args:
        found: which images show the same picture.
        names: of the images.
        splits: of the images.
        classes: of the images.
        digests: uint8 (n, 32), SHA-256 of the files.
    """
    members = defaultdict[int, list[int]](list)
    for position, picture in enumerate(found.pictures.tolist()):
        members[picture].append(position)
    copies = []
    for positions in members.values():
        images = sorted(found.images[positions].tolist())
        kind: CopyKind = "looks the same"
        if len(np.unique(digests[images], axis=0)) == 1:
            kind = "same file"
        elif len(np.unique(found.identities[positions])) == 1:
            kind = "same pixels"
        columns = (tuple(column[image] for image in images) for column in (names, splits, classes))
        copies.append(Copies(kind, *columns))
    return tuple(sorted(copies, key=lambda each: (not each.is_leak, each.kind == "looks the same")))
