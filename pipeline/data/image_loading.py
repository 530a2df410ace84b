"""Load the image files of a listing: read each once, set aside what is broken, find duplicates."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.data.listing import SPLITS, Listing
from pipeline.data.splits import (
    ArrayImages,
    DuplicateImage,
    Duplicates,
    Images,
    Split,
    Splits,
    UnreadableFile,
)
from pipeline.errors import DataError, escape_unprintable

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.image_decoding import Decoding

logger = logging.getLogger(__name__)

# Up to this size, decoded images are held in memory; more are decoded again in every epoch.
MAX_BYTES_IN_MEMORY = 128 * 2**20
_MIN_BAD_ALLOWED = 5
_MAX_SUBMITTED = 4096  # files in the thread pool's queue, which takes memory


def load_listing(
    listing: Listing,
    decoding: Decoding,
    *,
    max_bad: float,
    leakage: Literal["warn", "error"],
) -> Splits:
    """Read every file once and return the images, without files that cannot be decoded.

    Args:
        listing: the files; the split of each is given.
        decoding: how they become pixels.
        max_bad: the largest fraction of unreadable files that is skipped.
        leakage: whether an image in more than one split is a warning or an error.

    Raises:
        DataError: if a class has no image in a split, more than `max_bad` of the files are
            unreadable, or an image is in more than one split and `leakage` is `error`.
    """
    import numpy as np

    paths = [listing.root / name for name in listing.names]
    logger.info(
        f"Reading {len(paths):,} images of {len(listing.class_names)} classes from {listing.root}"
    )
    scan = _scan(paths, decoding)
    quarantined = tuple(
        UnreadableFile(name, reason)
        for name, reason in zip(listing.names, scan.reasons, strict=True)
        if reason
    )
    _check_unreadable(quarantined, listing, max_bad)
    for file in quarantined:
        logger.warning(f"Skipped {escape_unprintable(file.name)}: {file.reason}")

    is_readable = np.array([not reason for reason in scan.reasons], bool)
    splits: dict[str, Split] = {}
    images: dict[int, DuplicateImage] = {}
    for number, name in enumerate(SPLITS):
        is_member = listing.splits == number
        if name == "test" and not is_member.any():
            continue
        numbers = np.flatnonzero(is_member & is_readable)
        split = splits[name] = _make_split(listing, scan, numbers, decoding)
        _check_empty_classes(name, split, listing)
        for index, position in enumerate(numbers.tolist()):
            images[position] = DuplicateImage(
                name,
                index,
                split.names[index],
                int(split.labels[index]),
                split.image_digests[index],
            )
    return Splits(
        class_names=listing.class_names,
        train=splits["train"],
        validation=splits["val"],
        test=splits.get("test"),
        quarantined=quarantined,
        duplicates=_find_duplicates(scan, images, leakage),
    )


@dataclass(frozen=True)
class _Scan:
    """The result of reading all files once.

    Attributes:
        digests: hexadecimal SHA-256 of each file.
        reasons: why a file is unreadable, empty if it is not.
        pixels: uint8 (n, height, width, 3), or None if they would take too much memory.
        thumbnails: uint8 (n, 16, 16, 3), for the search for duplicates.
    """

    digests: list[str]
    reasons: list[str]
    pixels: np.ndarray | None
    thumbnails: np.ndarray


def _scan(paths: Sequence[Path], decoding: Decoding) -> _Scan:
    import numpy as np

    from pipeline.data import duplicates
    from pipeline.data.image_decoding import BadImageError, decode_image, read_image_file

    thumbnails = np.zeros((len(paths), duplicates.SIDE, duplicates.SIDE, 3), np.uint8)
    shape = (len(paths), *decoding.shape)
    pixels = np.empty(shape, np.uint8) if np.prod(shape) <= MAX_BYTES_IN_MEMORY else None

    def read(number: int) -> tuple[str, str]:
        digest = ""
        try:
            data = read_image_file(paths[number])
            digest = hashlib.sha256(data).hexdigest()
            image = decode_image(data, decoding)
        except BadImageError as error:
            return digest, str(error)
        if pixels is not None:
            pixels[number] = image
        rgb = np.broadcast_to(image, (*decoding.size, 3))
        thumbnails[number] = duplicates.thumbnail(np.ascontiguousarray(rgb))
        return digest, ""

    results: list[tuple[str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(paths), _MAX_SUBMITTED):
            numbers = range(start, min(start + _MAX_SUBMITTED, len(paths)))
            results.extend(threads.map(read, numbers))
    digests, reasons = (list(column) for column in zip(*results, strict=True))
    return _Scan(digests, reasons, pixels, thumbnails)


def _find_duplicates(
    scan: _Scan, images: Mapping[int, DuplicateImage], leakage: Literal["warn", "error"]
) -> tuple[Duplicates, ...]:
    """Return the groups of images that show the same picture, and log them.

    Raises:
        DataError: if a picture is in more than one split and `leakage` is `error`.
    """
    from pipeline.data import duplicates

    numbers = sorted(images)
    groups = tuple(
        tuple(images[numbers[i]] for i in group)
        for group in duplicates.find_duplicate_groups(scan.thumbnails[numbers])
    )
    leaks = duplicates.describe_leakage(groups)
    if leaks and leakage == "error":
        raise DataError(f"data.leakage: {leaks}")
    for warning in filter(None, (leaks, duplicates.describe_label_conflicts(groups))):
        logger.warning(warning)
    repetitions = duplicates.describe_repetitions(groups)
    if repetitions:
        logger.info(repetitions)
    return groups


def _make_split(
    listing: Listing,
    scan: _Scan,
    numbers: np.ndarray,
    decoding: Decoding,
) -> Split:
    """Return the split of the files at `numbers` of the listing."""
    import numpy as np
    import PIL

    from pipeline.data.image_files import ImageFiles

    names = [listing.names[number] for number in numbers]
    labels = listing.labels[numbers].astype(np.int64)
    images: Images = ImageFiles([listing.root / name for name in names], decoding)
    if scan.pixels is not None:
        images = ArrayImages(scan.pixels[numbers])
    digests = [scan.digests[number] for number in numbers]
    digest = hashlib.sha256(f"{decoding} Pillow {PIL.__version__}\n".encode())
    for label, image_digest in zip(labels, digests, strict=True):
        digest.update(f"{label}:{image_digest}\n".encode())
    return Split(images, labels, names, digests, digest.hexdigest())


def _check_empty_classes(name: str, split: Split, listing: Listing) -> None:
    present = set(split.labels.tolist())
    empty = [
        class_name for label, class_name in enumerate(listing.class_names) if label not in present
    ]
    if empty:
        raise DataError(
            f"data.path: the {name} split of {listing.root} has no images of {', '.join(empty)}. "
            "Add images, or, if the split is random, increase data.validation and data.test or "
            "change data.split_seed."
        )


def _check_unreadable(files: Sequence[UnreadableFile], listing: Listing, max_bad: float) -> None:
    total = len(listing.names)
    allowed = max(int(max_bad * total), _MIN_BAD_ALLOWED)
    if len(files) > allowed:
        lines = [f"  {escape_unprintable(file.name)}: {file.reason}" for file in files[:50]]
        if len(files) > 50:
            lines.append(f"  and {len(files) - 50} more")
        raise DataError(
            f"{len(files)} of the {total} files in {listing.root} cannot be decoded; data.max_bad "
            f"allows {allowed}. Repair or remove them, or increase data.max_bad:\n"
            + "\n".join(lines)
        )
