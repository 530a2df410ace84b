"""A directory of photographs: one subdirectory per class, split into train, val and test or not."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import itertools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import ClosedFraction, FilePath, Finding, Fraction, ImageSize, OpenFraction
from pipeline.data.directory_layout import find_classes, find_images, find_split_directories
from pipeline.data.download import DownloadConfig, download_archive
from pipeline.data.source_config import SourceConfig
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

    from pipeline.data.image_decoding import Decoding, Resize

logger = logging.getLogger(__name__)

# Up to this size, decoded images are held in memory; more are decoded again in every epoch.
MAX_BYTES_IN_MEMORY = 128 * 2**20
_MIN_BAD_ALLOWED = 5
_MAX_SUBMITTED = 4096  # files in the thread pool's queue, which takes memory


class ImageFolderConfig(SourceConfig):
    """Image files; the name of their directory is their class."""

    source: Literal["image_folder"]
    path: FilePath = Field(
        description="Directory with train/, val/ and test/, or with one subdirectory per class."
    )
    download: DownloadConfig | None = Field(
        None, description="Archive to download if path does not exist."
    )
    image_size: ImageSize = Field((224, 224), description="Height and width after resizing.")
    resize: Literal["crop", "pad", "squash"] = Field(
        "crop", description="How images of another aspect ratio are fitted into image_size."
    )
    validation: OpenFraction = Field(
        0.2,
        description="Fraction of the images for the validation split if there is no val/.",
    )
    test: Fraction = Field(
        0.0,
        description="Fraction of the images for the test split, if path has one subdirectory per "
        "class.",
    )
    max_bad: ClosedFraction = Field(
        0.01,
        description="Largest fraction of unreadable files that is skipped; 5 are always allowed.",
    )
    leakage: Literal["warn", "error"] = Field(
        "warn", description="Whether an image in more than one split is a warning or an error."
    )

    @property
    def image_root(self) -> Path:
        return self.path

    @property
    def resize_mode(self) -> Resize:
        return self.resize

    @property
    def decoding(self) -> Decoding:
        """How the files become pixels."""
        from pipeline.data.image_decoding import Decoding

        return Decoding(self.image_size, self.resize)

    def problems(self) -> Iterator[Finding]:
        if not self._exists():
            if self.download is None:
                yield (
                    ("path",),
                    f"the directory {self.path} does not exist, and data.download is not set.",
                )
            return
        try:
            find_classes(self.path)
        except DataError as error:
            yield ("path",), str(error).removeprefix("data.path: ")
        except OSError as error:
            yield ("path",), f"{error.filename} cannot be read: {error.strerror}."

    def warnings(self) -> Iterator[Finding]:
        splits = find_split_directories(self.path) if self._exists() else {}
        for key, is_unused in (("validation", "val" in splits), ("test", bool(splits))):
            if is_unused and getattr(self, key) != type(self).model_fields[key].default:
                yield (key,), f"has no effect: {self.path} has directories for its splits."

    def class_names(self) -> tuple[str, ...] | None:
        with contextlib.suppress(DataError, OSError):
            return find_classes(self.path)
        return None

    def _exists(self) -> bool:
        return os.path.isdir(self.path)  # noqa: PTH112, it never raises

    def load(self) -> Splits:
        """Read every file once and return the images, without files that cannot be decoded.

        Raises:
            DataError: if the directory does not exist, its splits have different classes, a class
                has no image, more than `max_bad` of the files are unreadable, or an image is in
                more than one split and `leakage` is `error`.
        """
        if not self.path.is_dir():
            if self.download is None:
                raise DataError(f"data.path: the directory {self.path} does not exist.")
            download_archive(self.download, self.path)
        class_names, files = _list_files(self)
        paths = [path for members in files.values() for path, _ in members]
        logger.info(f"Reading {len(paths):,} images of {len(class_names)} classes from {self.path}")
        scan = _scan(paths, self)
        quarantined = tuple(
            UnreadableFile(str(path.relative_to(self.path)), reason)
            for path, reason in zip(paths, scan.reasons, strict=True)
            if reason
        )
        _check_unreadable(quarantined, len(paths), self)
        for file in quarantined:
            logger.warning(f"Skipped {escape_unprintable(file.name)}: {file.reason}")

        splits: dict[str, Split] = {}
        images: dict[int, DuplicateImage] = {}
        start = 0
        for name, members in files.items():
            numbers = [i for i in range(start, start + len(members)) if not scan.reasons[i]]
            labels = [members[i - start][1] for i in numbers]
            split = splits[name] = _make_split(scan, numbers, labels, paths, self)
            _check_empty_classes(name, split, class_names, self)
            for index, (number, label) in enumerate(zip(numbers, labels, strict=True)):
                images[number] = DuplicateImage(
                    name, index, split.names[index], label, scan.digests[number]
                )
            start += len(members)
        return Splits(
            class_names=class_names,
            train=splits["train"],
            validation=splits["val"],
            test=splits.get("test"),
            quarantined=quarantined,
            duplicates=_find_duplicates(scan, images, self),
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


def _scan(paths: Sequence[Path], config: ImageFolderConfig) -> _Scan:
    import numpy as np

    from pipeline.data import duplicates
    from pipeline.data.image_decoding import BadImageError, decode_image, read_image_file

    decoding = config.decoding
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
        thumbnails[number] = duplicates.thumbnail(image)
        return digest, ""

    results: list[tuple[str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(paths), _MAX_SUBMITTED):
            numbers = range(start, min(start + _MAX_SUBMITTED, len(paths)))
            results.extend(threads.map(read, numbers))
    digests, reasons = (list(column) for column in zip(*results, strict=True))
    return _Scan(digests, reasons, pixels, thumbnails)


def _find_duplicates(
    scan: _Scan, images: Mapping[int, DuplicateImage], config: ImageFolderConfig
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
    leakage = duplicates.describe_leakage(groups)
    if leakage and config.leakage == "error":
        raise DataError(f"data.leakage: {leakage}")
    for warning in filter(None, (leakage, duplicates.describe_label_conflicts(groups))):
        logger.warning(warning)
    repetitions = duplicates.describe_repetitions(groups)
    if repetitions:
        logger.info(repetitions)
    return groups


def _make_split(
    scan: _Scan,
    numbers: list[int],
    labels: list[int],
    paths: Sequence[Path],
    config: ImageFolderConfig,
) -> Split:
    """Return the split of the files at `numbers` in `paths`."""
    import numpy as np
    import PIL

    from pipeline.data.image_files import ImageFiles

    paths = [paths[number] for number in numbers]
    images: Images = ImageFiles(paths, config.decoding)
    if scan.pixels is not None:
        images = ArrayImages(scan.pixels[numbers])
    digests = [scan.digests[number] for number in numbers]
    digest = hashlib.sha256(
        f"{config.image_size} {config.resize} Pillow {PIL.__version__}\n".encode()
    )
    for label, image_digest in zip(labels, digests, strict=True):
        digest.update(f"{label}:{image_digest}\n".encode())
    names = [str(path.relative_to(config.path)) for path in paths]
    return Split(images, np.array(labels, np.int64), names, digests, digest.hexdigest())


def _list_files(
    config: ImageFolderConfig,
) -> tuple[tuple[str, ...], dict[str, list[tuple[Path, int]]]]:
    """Return the class names, and the files of each split with their labels."""
    directories, names = find_split_directories(config.path), find_classes(config.path)
    files: dict[str, list[tuple[Path, int]]] = {split: [] for split in directories or ("train",)}
    for split, directory in (directories or {"train": config.path}).items():
        for label, name in enumerate(names):
            files[split].extend((path, label) for path in find_images(directory / name))
    fractions = {} if "val" in files else {"val": config.validation}
    if not directories and config.test:
        fractions["test"] = config.test
    if fractions:
        files = _divide(files, fractions, names, config)
    return names, {split: files[split] for split in ("train", "val", "test") if split in files}


def _divide(
    files: dict[str, list[tuple[Path, int]]],
    fractions: Mapping[str, float],
    names: Sequence[str],
    config: ImageFolderConfig,
) -> dict[str, list[tuple[Path, int]]]:
    """Move fractions of the training files to other splits, chosen by a hash of the file name.

    So no image changes its split when files are added.
    """
    splits, bounds = [*fractions, "train"], list(itertools.accumulate(fractions.values()))
    divided = {**files, **{split: [] for split in splits}}
    for path, label in files["train"]:
        name = f"{config.split_seed}/{names[label]}/{path.name}"
        draw = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8])
        divided[splits[bisect.bisect(bounds, draw / 2**64)]].append((path, label))
    return divided


def _check_empty_classes(
    name: str, split: Split, names: Sequence[str], config: ImageFolderConfig
) -> None:
    present = set(split.labels.tolist())
    empty = [class_name for label, class_name in enumerate(names) if label not in present]
    if empty:
        raise DataError(
            f"data.path: the {name} split of {config.path} has no images of {', '.join(empty)}. "
            "Add images, or, if the split is random, increase data.validation and data.test or "
            "change data.split_seed."
        )


def _check_unreadable(
    files: Sequence[UnreadableFile], total: int, config: ImageFolderConfig
) -> None:
    allowed = max(int(config.max_bad * total), _MIN_BAD_ALLOWED)
    if len(files) > allowed:
        lines = [f"  {escape_unprintable(file.name)}: {file.reason}" for file in files[:50]]
        if len(files) > 50:
            lines.append(f"  and {len(files) - 50} more")
        raise DataError(
            f"{len(files)} of the {total} files in {config.path} cannot be decoded; data.max_bad "
            f"allows {allowed}. Repair or remove them, or increase data.max_bad:\n"
            + "\n".join(lines)
        )
