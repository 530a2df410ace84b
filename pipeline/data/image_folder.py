"""A folder of photographs: a folder a class, in `train`, `val` and `test` or all in one."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import FilePath, Fraction, ImageSize, OpenFraction, Share
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

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.image_decoding import Resize

ORIENTATION_MATTERS = False

# Decoded images up to this much are kept in memory; more are decoded anew in every epoch.
KEPT_BYTES = 128 * 2**20
_FEWEST_BAD = 5
_READ_AT_ONCE = 4096


class ImageFolderConfig(SourceConfig):
    """Photographs in folders; the folder's name is the class."""

    source: Literal["image_folder"]
    path: FilePath = Field(
        description="A folder with train/ and val/ (and test/), or with a folder a class."
    )
    download: DownloadConfig | None = Field(
        None, description="Where to get it when path is absent."
    )
    image_size: ImageSize = Field(
        (224, 224), description="Height and width that images are scaled to."
    )
    resize: Literal["crop", "pad", "squash"] = Field(
        "crop", description="How an image of other proportions is fitted in."
    )
    validation: OpenFraction = Field(
        0.2, description="Share held out to choose the best epoch, where there is no val folder."
    )
    test: Fraction = Field(
        0.0, description="Share held out for the end, where there is a folder a class."
    )
    max_bad: Share = Field(
        0.01, description="Share of the files, at least 5, that may be broken before it is an error"
    )
    leakage: Literal["warn", "error"] = Field(
        "warn", description="What a picture that is in more than one split leads to."
    )


@dataclass(frozen=True)
class FileImages:
    """Images decoded whenever they are read.

    Attributes:
        paths: one file an image.
        size: height and width in pixels.
        resize: how other proportions are fitted in.
    """

    paths: Sequence[Path]
    size: tuple[int, int]
    resize: Resize

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*self.size, 3)

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        from pipeline.data.image_decoding import BadImageError, decode_image, read_image_file

        images = np.empty((len(indices), *self.shape), np.uint8)
        for image, index in zip(images, indices, strict=True):
            path = self.paths[int(index)]
            try:
                image[:] = decode_image(read_image_file(path), size=self.size, resize=self.resize)
            except BadImageError as error:
                raise DataError(
                    f"{escape_unprintable(str(path))} changed during the run: {error}."
                ) from None
        return images


CONFIG = ImageFolderConfig


def class_names(config: ImageFolderConfig) -> tuple[str, ...] | None:
    if not config.path.is_dir():
        return None
    return find_classes(config.path)


def load(config: ImageFolderConfig) -> Splits:
    """Read every file once, leave out what cannot be decoded, and return the rest.

    Raises:
        DataError: if the folder is absent, its splits disagree on the classes, a class has no
            image, more than `max_bad` of the files are broken, or a picture is in more than one
            split and `leakage` is error.
    """
    if not config.path.is_dir():
        if config.download is None:
            raise DataError(f"data.path: there is no folder {config.path}.")
        download_archive(config.download, config.path)
    names, files = _files(config)
    everything = [(split, path) for split, paths in files.items() for path, _ in paths]
    logger.info(f"Reading {len(everything):,} images of {len(names)} classes from {config.path}")
    read = _read_all([path for _, path in everything], config)
    bad = tuple(
        UnreadableFile(str(path.relative_to(config.path)), reason)
        for (_, path), reason in zip(everything, read.reasons, strict=True)
        if reason
    )
    _refuse_too_many(bad, len(everything), config)
    for file in bad:
        logger.info(f"Left out {escape_unprintable(file.name)}: {file.reason}")

    splits: dict[str, Split] = {}
    places: dict[int, DuplicateImage] = {}
    start = 0
    for name, members in files.items():
        numbers = [i for i in range(start, start + len(members)) if not read.reasons[i]]
        labels = [members[i - start][1] for i in numbers]
        paths = [members[i - start][0] for i in numbers]
        split = splits[name] = _split(read, numbers, labels, paths, config)
        for index, number in enumerate(numbers):
            copy = DuplicateImage(
                name, index, split.names[index], labels[index], read.digests[number]
            )
            places[number] = copy
        start += len(members)
    for name, split in splits.items():
        _refuse_empty_classes(name, split, names, config)
    return Splits(
        class_names=names,
        train=splits["train"],
        validation=splits["val"],
        test=splits.get("test"),
        quarantined=bad,
        duplicates=_duplicates(read, places, config),
    )


@dataclass(frozen=True)
class _Read:
    """What one pass over all files found.

    Attributes:
        digests: hexadecimal SHA-256 of each file's bytes.
        reasons: why a file is broken, empty where it is not.
        pixels: uint8 (n, height, width, 3), or None where that would be too much to keep.
        thumbnails: uint8 (n, 16, 16, 3), which tell whether two show the same picture.
    """

    digests: list[str]
    reasons: list[str]
    pixels: np.ndarray | None
    thumbnails: np.ndarray


def _read_all(paths: Sequence[Path], config: ImageFolderConfig) -> _Read:
    import numpy as np

    from pipeline.data import duplicates
    from pipeline.data.image_decoding import BadImageError, decode_image, read_image_file

    thumbnails = np.zeros((len(paths), duplicates.SIDE, duplicates.SIDE, 3), np.uint8)
    shape = (len(paths), *config.image_size, 3)
    pixels = np.empty(shape, np.uint8) if np.prod(shape) <= KEPT_BYTES else None

    def read(number: int) -> tuple[str, str]:
        digest = ""
        try:
            data = read_image_file(paths[number])
            digest = hashlib.sha256(data).hexdigest()
            image = decode_image(data, size=config.image_size, resize=config.resize)
        except BadImageError as error:
            return digest, str(error)
        if pixels is not None:
            pixels[number] = image
        thumbnails[number] = duplicates.thumbnail(image)
        return digest, ""

    results: list[tuple[str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(paths), _READ_AT_ONCE):  # what is submitted takes memory
            numbers = range(start, min(start + _READ_AT_ONCE, len(paths)))
            results.extend(threads.map(read, numbers))
    digests, reasons = (list(column) for column in zip(*results, strict=True))
    return _Read(digests, reasons, pixels, thumbnails)


def _duplicates(
    read: _Read,
    places: Mapping[int, DuplicateImage],
    config: ImageFolderConfig,
) -> tuple[Duplicates, ...]:
    """Return the pictures that are there more than once, and say or refuse what they spoil."""
    from pipeline.data.duplicates import (
        describe_leakage,
        describe_repetitions,
        find_duplicate_groups,
    )

    numbers = sorted(places)
    found = tuple(
        tuple(places[numbers[i]] for i in group)
        for group in find_duplicate_groups(read.thumbnails[numbers])
    )
    leakage = describe_leakage(found)
    if leakage and config.leakage == "error":
        raise DataError(f"data.leakage: {leakage}")
    for message in (f"WARNING: {leakage}" if leakage else "", *describe_repetitions(found)):
        if message:
            logger.info(message)
    return found


def _split(
    read: _Read, numbers: list[int], labels: list[int], paths: list[Path], config: ImageFolderConfig
) -> Split:
    import numpy as np
    import PIL

    images: Images
    if read.pixels is None:
        images = FileImages(paths, config.image_size, config.resize)
    else:
        images = ArrayImages(read.pixels[numbers])
    names = [str(path.relative_to(config.path)) for path in paths]
    digest = hashlib.sha256(
        f"{config.image_size} {config.resize} Pillow {PIL.__version__}\n".encode()
    )
    for number, label in zip(numbers, labels, strict=True):
        digest.update(f"{label}:{read.digests[number]}\n".encode())
    digests = [read.digests[number] for number in numbers]
    return Split(images, np.array(labels, np.int64), names, digests, digest.hexdigest())


def _files(config: ImageFolderConfig) -> tuple[tuple[str, ...], dict[str, list[tuple[Path, int]]]]:
    """Return the classes, and each split's files with their labels."""
    folders, names = find_split_directories(config.path), find_classes(config.path)
    files: dict[str, list[tuple[Path, int]]] = {split: [] for split in folders or ("train",)}
    for split, folder in (folders or {"train": config.path}).items():
        for label, name in enumerate(names):
            files[split].extend((path, label) for path in find_images(folder / name))
    shares = {} if "val" in files else {"val": config.validation}
    if not folders and config.test:
        shares["test"] = config.test
    if shares:
        files = _divide(files, shares, names, config)
    return names, {split: files[split] for split in ("train", "val", "test") if split in files}


def _divide(
    files: dict[str, list[tuple[Path, int]]],
    shares: Mapping[str, float],
    names: Sequence[str],
    config: ImageFolderConfig,
) -> dict[str, list[tuple[Path, int]]]:
    """Move a share of the training files into other splits, by a hash of each file's name.

    The hash alone decides, so that no image moves from one split to another when files are added.
    """
    divided = {**files, "train": [], **{split: [] for split in shares}}
    for path, label in files["train"]:
        name = f"{config.split_seed}/{names[label]}/{path.name}"
        draw = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8])
        divided[_split_at(draw / 2**64, shares)].append((path, label))
    return divided


def _split_at(position: float, shares: Mapping[str, float]) -> str:
    """Return the split that a position from 0 to 1 falls into; the last stretch is train's."""
    for split, share in shares.items():
        if position < share:
            return split
        position -= share
    return "train"


def _refuse_empty_classes(
    name: str, split: Split, names: Sequence[str], config: ImageFolderConfig
) -> None:
    present = set(split.labels.tolist())
    empty = [class_name for label, class_name in enumerate(names) if label not in present]
    if empty:
        raise DataError(
            f"data.path: the {name} split of {config.path} has no image of {', '.join(empty)}. "
            "Add images; or, where the split is drawn, raise data.validation and data.test or "
            "choose another data.split_seed."
        )


def _refuse_too_many(bad: Sequence[UnreadableFile], count: int, config: ImageFolderConfig) -> None:
    allowed = max(int(config.max_bad * count), _FEWEST_BAD)
    if len(bad) > allowed:
        listed = "\n".join(f"  {escape_unprintable(file.name)}: {file.reason}" for file in bad[:50])
        more = f"\n  and {len(bad) - 50} more" if len(bad) > 50 else ""
        raise DataError(
            f"{len(bad)} of the {count} files in {config.path} cannot be decoded; data.max_bad "
            f"allows {allowed}. Mend or remove them, or raise data.max_bad:\n{listed}{more}"
        )
