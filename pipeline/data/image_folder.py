"""A directory of photographs: one subdirectory per class, split into train, val and test or not."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.config import ClosedFraction, FilePath, Finding, Fraction, OpenFraction
from pipeline.data.directory_layout import find_classes, find_images, find_split_directories
from pipeline.data.download import DownloadConfig, download_archive
from pipeline.data.image_loading import load_listing
from pipeline.data.image_source import ImageSourceConfig
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.splits import Splits
from pipeline.errors import DataError


class ImageFolderConfig(ImageSourceConfig):
    """Image files; the name of their directory is their class."""

    source: Literal["image_folder"]
    path: FilePath = Field(
        description="Directory with train/, val/ and test/, or with one subdirectory per class."
    )
    download: DownloadConfig | None = Field(
        None, description="Archive to download if path does not exist."
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
    max_bad: ClosedFraction | None = Field(
        None,
        description="Largest fraction of unreadable files that is skipped; 0 allows none. Default: "
        "0.01, or 5 files if that is more.",
    )
    leakage: Literal["warn", "error"] = Field(
        "warn", description="Whether an image in more than one split is a warning or an error."
    )

    @property
    def image_root(self) -> Path:
        return self.path

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
        return load_listing(
            _list_directory(self),
            self.decoding,
            max_bad=self.max_bad,
            leakage=self.leakage,
        )


def _list_directory(config: ImageFolderConfig) -> Listing:
    import numpy as np

    class_names, files = _list_files(config)
    members = [member for split in files.values() for member in split]
    return Listing(
        root=config.path,
        names=[str(path.relative_to(config.path)) for path, _ in members],
        class_names=class_names,
        labels=np.array([label for _, label in members], np.int32),
        splits=np.repeat(
            np.array([SPLITS.index(split) for split in files], np.int8),
            [len(split) for split in files.values()],
        ),
        keys=[path.name for path, _ in members],
        groups=None,
    )


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
