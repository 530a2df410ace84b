"""Load the image files of a listing: set aside what is no image, and find duplicates."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pipeline.data.listing import SPLITS, Listing
from pipeline.data.remote_path import suffix_of
from pipeline.data.split_problems import describe_split_problem, empty_classes
from pipeline.data.splits import (
    DuplicateImage,
    Duplicates,
    Images,
    Split,
    Splits,
    UnreadableFile,
    describe_ignored,
)
from pipeline.errors import DataError, escape_unprintable
from pipeline.secrets import mask_credentials

if TYPE_CHECKING:
    import numpy as np

    from pipeline.config import RangeSetting
    from pipeline.data.image_decoding import Decoding
    from pipeline.data.image_files import PixelMemory
    from pipeline.data.image_index import IndexedFiles
    from pipeline.data.picture_copies import PictureCopies

logger = logging.getLogger(__name__)

# Up to this size, decoded images are held in memory; more are decoded again in every epoch.
MAX_BYTES_IN_MEMORY = 128 * 2**20
_DEFAULT_MAX_BAD = 0.01
_DEFAULT_MIN_BAD = 5


def load_listing(
    listing: Listing,
    decoding: Decoding,
    *,
    value_range: RangeSetting,
    fractions: Mapping[str, float],
    split_seed: int,
    max_bad: float | None,
    leakage: Literal["warn", "error"],
) -> Splits:
    """Return the images of a listing, after reading files that are new or changed.

    Args:
        listing: the files.
        decoding: how they become pixels, but for its range.
        value_range: the range of samples that becomes 0..255; `auto` depends on the training
            images.
        fractions: the share of each split that is drawn, as `assign_splits` takes it. Copies of a
            picture are drawn into the same split.
        split_seed: of the draw.
        max_bad: the largest fraction of unreadable files that is skipped; None for 1 %, or 5 files
            if that is more.
        leakage: whether an image in more than one split is a warning or an error.

    Raises:
        DataError: if a class has no image in train or in a given split, a drawn split is empty,
            more than `max_bad` of the files are unreadable, or an image is in more than one split
            and `leakage` is `error`.
        PipelineError: if the cache directory is not writable.
    """
    import numpy as np

    from pipeline.data.file_examination import Verdict
    from pipeline.data.image_files import PixelMemory
    from pipeline.data.image_index import index_files
    from pipeline.data.picture_copies import find_copies

    root, names = listing.root, listing.names
    fits = len(names) * math.prod(decoding.shape) <= MAX_BYTES_IN_MEMORY
    memory = PixelMemory(len(names), decoding.shape) if fits else None
    if memory:
        files = index_files(root, names, decoding=decoding, on_pixels=memory.keep)
    else:  # less is decoded
        files = index_files(root, names)
        if overflow := root.describe_overflow(names, files.records["size"]):
            logger.warning(overflow)
    quarantined = _quarantine(listing, files, max_bad)
    ignored = _ignore(listing, files)

    numbers = np.flatnonzero(files.verdicts == Verdict.IMAGE)  # of the images among the files
    images = [names[number] for number in numbers.tolist()]
    copies = find_copies(root, images, files.digests[numbers], files.thumbnails)
    drawn = draw_splits(listing, numbers, copies, fractions=fractions, seed=split_seed)
    decoding = _with_range(decoding, value_range, files.records[numbers], drawn == 0)
    # A validation split that loses its last image is an error, instead of training without one.
    has_validation = "val" in fractions or (listing.splits == SPLITS.index("val")).any()
    required = ("train", "val") if has_validation else ("train",)
    groups = group_images(listing, numbers, copies)
    splits = {
        name: _make_split(
            listing,
            files,
            numbers[drawn == index],
            decoding,
            memory,
            groups=None if groups is None else groups[drawn == index],
        )
        for index, name in enumerate(SPLITS)
        if name in required or (drawn == index).any()
    }
    for name, split in splits.items():
        _check_split(name, split, listing, fractions)
    duplicates = _group_copies(copies, drawn, splits)
    _report_duplicates(duplicates, leakage)
    return Splits(
        class_names=listing.class_names,
        train=splits["train"],
        validation=splits.get("val"),
        test=splits.get("test"),
        quarantined=quarantined,
        ignored=ignored,
        duplicates=duplicates,
        value_range=decoding.value_range,
    )


def draw_splits(
    listing: Listing,
    numbers: np.ndarray,
    copies: PictureCopies,
    *,
    fractions: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """Return the split of each image, int8 (n,), index in `SPLITS`.

    Args:
        listing: the files.
        numbers: int (n,), the images among them.
        copies: of the images.
        fractions: as `load_listing` takes them.
        seed: of the draw.
    """
    from pipeline.data.split_assignment import assign_splits

    labels = listing.labels[numbers]
    return assign_splits(
        [listing.keys[number] for number in numbers.tolist()],
        listing.task.strata(labels),
        listing.splits[numbers],
        group_images(listing, numbers, copies),
        fractions=fractions,
        seed=seed,
        stratum_names=listing.task.stratum_names(labels, listing.class_names),
    )


def group_images(listing: Listing, numbers: np.ndarray, copies: PictureCopies) -> np.ndarray | None:
    """Return groups of images that belong together, int64 (n,), None if there are none.

    They are the groups of the listing, joined where images show the same picture.

    Args:
        listing: the files.
        numbers: int (n,), the images among them.
        copies: of the images.
    """
    from pipeline.data.split_assignment import merge_groups

    groups = copies.groups(len(numbers)) if len(copies.images) else None
    if listing.groups is None:
        return groups
    given = listing.groups[numbers]
    return given if groups is None else merge_groups(given, groups)


def _with_range(
    decoding: Decoding, setting: RangeSetting, records: np.ndarray, is_training: np.ndarray
) -> Decoding:
    """Return a decoding with the range that a setting means, and warn of what it clips.

    Args:
        decoding: without a range.
        setting: `data.range` of the recipe.
        records: (n,) of the images.
        is_training: bool (n,).
    """
    from pipeline.data.value_range import describe_clipping, resolve_range

    lowest, highest = records["lowest"], records["highest"]
    value_range = resolve_range(setting, lowest[is_training], highest[is_training])
    if clipping := describe_clipping(value_range, lowest, highest):
        logger.warning(clipping)
    return replace(decoding, value_range=value_range)


def _quarantine(
    listing: Listing, files: IndexedFiles, max_bad: float | None
) -> tuple[UnreadableFile, ...]:
    """Return the files that cannot be decoded, and log them.

    Raises:
        DataError: if they are too many.
    """
    import numpy as np

    from pipeline.data.file_examination import Verdict

    unreadable = tuple(
        UnreadableFile(mask_credentials(listing.names[number]), files.reasons[number])
        for number in np.flatnonzero(files.verdicts == Verdict.UNREADABLE).tolist()
    )
    total = int(np.count_nonzero(files.verdicts != Verdict.NO_IMAGE))
    allowed = allowed_unreadable(max_bad, total)
    if len(unreadable) > allowed:
        lines = [f"  {escape_unprintable(file.name)}: {file.reason}" for file in unreadable[:50]]
        if len(unreadable) > 50:
            lines.append(f"  and {len(unreadable) - 50} more")
        raise DataError(
            f"{len(unreadable)} of the {total} files in {listing.root} cannot be decoded; "
            f"data.max_bad allows {allowed}. Repair or remove {'it' if len(lines) == 1 else 'them'}"
            ", or increase data.max_bad:\n" + "\n".join(lines)
        )
    for file in unreadable:
        logger.warning(f"Skipped {escape_unprintable(file.name)}: {file.reason}")
    return unreadable


def allowed_unreadable(max_bad: float | None, total: int) -> int:
    """Return how many of the image files may be unreadable.

    Args:
        max_bad: as `load_listing` takes it.
        total: the image files, with the unreadable ones.
    """
    if max_bad is None:
        return max(int(_DEFAULT_MAX_BAD * total), _DEFAULT_MIN_BAD)
    return math.floor(max_bad * total + 1e-9)  # 0.29 of 100 are 29, not 28


def _ignore(listing: Listing, files: IndexedFiles) -> dict[str, int]:
    """Return the number of files by suffix that are not images, and log it."""
    import numpy as np

    from pipeline.data.file_examination import Verdict

    numbers = np.flatnonzero(files.verdicts == Verdict.NO_IMAGE).tolist()
    suffixes = (suffix_of(listing.names[number]) for number in numbers)
    counts = dict(Counter(suffixes).most_common())
    if counts:
        logger.info(f"Ignored files that are not images: {describe_ignored(counts)}")
    return counts


def _make_split(
    listing: Listing,
    files: IndexedFiles,
    numbers: np.ndarray,
    decoding: Decoding,
    memory: PixelMemory | None,
    *,
    groups: np.ndarray | None,
) -> Split:
    """Return the split of the files at `numbers` of the listing, which belong to groups."""
    import numpy as np
    import PIL

    from pipeline.data.image_files import ImageFiles, MemoizedImages

    names = [listing.names[number] for number in numbers.tolist()]
    labels = listing.labels[numbers]
    if labels.dtype == np.int32:  # smaller in a listing
        labels = labels.astype(np.int64)
    records = files.records[numbers]
    states = np.stack([records["size"], records["modified"]], axis=1)
    in_files = ImageFiles(listing.root.without_listing(), names, decoding, states)
    images: Images = MemoizedImages(in_files, memory, numbers) if memory else in_files
    digests = files.digests[numbers]
    digest = hashlib.sha256(f"{decoding} Pillow {PIL.__version__}\n".encode())
    digest.update(labels.tobytes())
    digest.update(digests.tobytes())
    return Split(images, labels, names, digests, digest.hexdigest(), groups, listing.task)


def _check_split(name: str, split: Split, listing: Listing, fractions: Mapping[str, float]) -> None:
    """Warn of classes that a split lacks.

    Raises:
        DataError: if the split cannot be used.
    """
    counts = listing.task.class_counts(split.labels, len(listing.class_names)).tolist()
    if problem := describe_split_problem(listing, name, len(split), counts, fractions):
        raise DataError(problem)
    if empty := empty_classes(listing, counts):
        logger.warning(
            f"The {name} split of {listing.root} has no images of {', '.join(empty)}: they have "
            "too few images, or too few groups of images that belong together. Averages over "
            "classes leave them out."
        )


def _group_copies(
    copies: PictureCopies, numbers: np.ndarray, splits: Mapping[str, Split]
) -> tuple[Duplicates, ...]:
    """Return the images of each picture that more than one image shows, in the order of the splits.

    Args:
        copies: of the images.
        numbers: int8 (n,), the split of each image.
        splits: by their names.
    """
    import numpy as np

    index_in_split = np.empty(len(numbers), np.int64)
    for number in range(len(SPLITS)):
        members = np.flatnonzero(numbers == number)
        index_in_split[members] = np.arange(len(members))
    labels = _numbered_labels(numbers, splits)
    groups: dict[int, list[DuplicateImage]] = {}
    columns = (copies.images, copies.pictures, copies.identities)
    for image, picture, identity in zip(*(column.tolist() for column in columns), strict=True):
        name, index = SPLITS[numbers[image]], int(index_in_split[image])
        split = splits[name]
        digest = split.image_digests[index].tobytes().hex()
        one = DuplicateImage(name, index, split.names[index], int(labels[image]), digest, identity)
        groups.setdefault(picture, []).append(one)
    return tuple(
        tuple(sorted(group, key=lambda one: (SPLITS.index(one.split), one.index)))
        for group in groups.values()
    )


def _numbered_labels(numbers: np.ndarray, splits: Mapping[str, Split]) -> np.ndarray:
    """Return the same number, int (n,), for images that have the same labels.

    Args:
        numbers: int8 (n,), the split of each image.
        splits: by their names.
    """
    import numpy as np

    train = splits["train"].labels
    labels = np.empty((len(numbers), *train.shape[1:]), train.dtype)
    for name, split in splits.items():
        labels[numbers == SPLITS.index(name)] = split.labels
    return np.unique(labels, axis=0, return_inverse=True)[1]


def _report_duplicates(groups: Sequence[Duplicates], leakage: Literal["warn", "error"]) -> None:
    """Log which pictures are shown by more than one image.

    Raises:
        DataError: if the same pixels are in more than one split and `leakage` is `error`.
    """
    from pipeline.data import duplicates

    leaks = duplicates.describe_leakage(groups)
    if leaks and leakage == "error":
        raise DataError(f"data.leakage: {leaks}")
    warnings = (
        leaks,
        duplicates.describe_likely_leakage(groups),
        duplicates.describe_label_conflicts(groups),
    )
    for warning in filter(None, warnings):
        logger.warning(warning)
    repetitions = duplicates.describe_repetitions(groups)
    if repetitions:
        logger.info(repetitions)
