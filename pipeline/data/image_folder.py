"""A directory of photographs: one subdirectory per class, split into train, val and test or not."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import Config, Finding, NonEmptyString
from pipeline.data.data_path import DataPath
from pipeline.data.directory_layout import DirectoryLayout, LayoutName, find_layout, find_unlabelled
from pipeline.data.download import DownloadConfig, download_archive
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.file_walk import count_files, walk_files
from pipeline.data.grouping import GroupByConfig, number_groups
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.remote_path import DEFAULT_CACHE_GB, AnyPath, RemotePath, relative_path
from pipeline.errors import DataError, PipelineError
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.data.file_root import FileRoot

logger = logging.getLogger(__name__)


class SplitDirectoriesConfig(Config):
    """The directory of each split, relative to data.path."""

    train: NonEmptyString = Field(description="Directory of the training images.")
    val: NonEmptyString | None = Field(None, description="Directory of the validation images.")
    test: NonEmptyString | None = Field(None, description="Directory of the test images.")

    def named(self) -> dict[str, str]:
        """Return the directories that are given."""
        return {name: path for name in SPLITS if (path := getattr(self, name)) is not None}


class ImageFolderConfig(FileSourceConfig):
    """Image files; the name of their directory is their class."""

    source: Literal["image_folder"]
    path: DataPath = Field(
        description="Directory with train/, val/ and test/, or with one subdirectory per class; "
        "also an address, such as s3://BUCKET/FOLDER."
    )
    download: DownloadConfig | None = Field(
        None, description="Archive to download if path does not exist."
    )
    layout: Literal["auto"] | LayoutName = Field(
        "auto",
        description="What the directories below path are, from the top; `*` is any directory. "
        "Default: by their names and contents.",
    )
    splits: SplitDirectoriesConfig | None = Field(
        None, description="Directories of the splits. Default: by their names."
    )
    group_by: GroupByConfig | None = Field(
        None,
        description="Files of one group, such as a patient, are drawn into the same split.",
    )

    @property
    def image_root(self) -> FileRoot:
        from pipeline.data.file_root import FileRoot

        return FileRoot(self.path, self.cache_bytes)

    @property
    def location(self) -> AnyPath:
        return self.path

    def problems(self) -> Iterator[Finding]:
        yield from super().problems()
        if self.download and isinstance(self.path, RemotePath):
            yield ("download",), f"is for a directory of this machine, and path is {self.path}."
            return
        try:
            path = self._listed()
            if not _is_directory(path):
                if isinstance(path, RemotePath):
                    yield ("path",), _missing(path)
                elif self.download is None:
                    yield (
                        ("path",),
                        f"the directory {path} does not exist, and data.download is not set.",
                    )
                return
            self._layout(path)
            if self.group_by:
                self.group_by.group_names(self._find(path).keys())
        except DataError as error:
            yield self.finding(error)
        except OSError as error:
            yield ("path",), f"{error.filename} cannot be read: {error.strerror}."

    def warnings(self) -> Iterator[Finding]:
        yield from super().warnings()
        if isinstance(self.path, Path) and self.cache_gb != DEFAULT_CACHE_GB:
            yield ("cache_gb",), "has no effect: the data is on this machine."

    def given_splits(self) -> frozenset[str] | None:
        path = self._listed()
        return self._layout(path).splits if _is_directory(path) else None

    def class_names(self) -> tuple[str, ...] | None:
        with contextlib.suppress(DataError, OSError):
            return self._layout(self._listed()).class_names
        return None

    def _listed(self, *, is_fresh: bool = False) -> AnyPath:
        """Return the path, with what is in it if it is remote.

        Raises:
            DataError: if a server does not answer or denies it.
        """
        if not isinstance(self.path, RemotePath):
            return self.path
        try:
            return self.path.listed(is_fresh=is_fresh)
        except PipelineError as error:
            raise DataError(f"data.path: {error}") from None

    def _layout(self, path: AnyPath) -> DirectoryLayout:
        try:
            return find_layout(
                path,
                layout=None if self.layout == "auto" else self.layout,
                splits=self.splits.named() if self.splits else None,
            )
        except DataError:
            is_recognized = self.layout == "auto" and not self.splits
            if TASKS[self.task].DRAWS_IMAGES and is_recognized:  # which needs no classes
                return find_unlabelled(path)
            raise

    def list_files(self) -> Listing:
        import numpy as np

        from pipeline.data.file_root import FileRoot

        path = self._listed(is_fresh=True)
        if not _is_directory(path):
            if isinstance(path, RemotePath):
                raise DataError(f"data.path: {_missing(path)}")
            if self.download is None:
                raise DataError(f"data.path: the directory {path} does not exist.")
            download_archive(self.download, path)
        found = self._find(path)
        logger.info(self._describe(found))
        layout, counts = found.layout, [len(names) for names in found.names]
        label_of = {name: label for label, name in enumerate(layout.class_names)}
        labels = [label_of[item.class_name] for item in layout.directories]
        # Other splits may be drawn from train.
        splits = [
            SPLITS.index(item.split) if item.split in ("val", "test") else -1
            for item in layout.directories
        ]
        keys = found.keys()
        groups = self.group_by.group_names(keys) if self.group_by else None
        return Listing(
            root=FileRoot(path, self.cache_bytes),
            names=[
                os.path.join(directory, name)  # noqa: PTH118, a million names stay strings
                for directory, names in zip(_relative(layout, path), found.names, strict=True)
                for name in names
            ],
            class_names=layout.class_names,
            task=TASKS[self.task],
            labels=np.repeat(np.array(labels, np.int32), counts),
            splits=np.repeat(np.array(splits, np.int8), counts),
            # Of a group the name is hashed, so that it stays where it is when files are added.
            keys=groups or keys,
            groups=number_groups(groups) if groups else None,
        )

    def describe_files(self) -> str | None:
        path = self._listed()
        return self._describe(self._find(path)) if _is_directory(path) else None

    def _describe(self, found: _FoundFiles) -> str:
        layout = found.layout
        counts: Counter[str] = Counter()
        for item, names in zip(layout.directories, found.names, strict=True):
            counts[item.split or "train"] += len(names)
        return self.describe_counts(
            f"{layout.root} (layout {layout.name})",
            "files",
            () if layout.name == "unlabelled" else layout.class_names,
            counts,
            layout.splits,
            [*layout.ignored, *found.ignored_files()],
        )

    def _find(self, path: AnyPath) -> _FoundFiles:
        layout, hidden = self._layout(path), 0
        names: list[list[str]] = []
        for item in layout.directories:
            names.append([])
            for name, is_hidden in walk_files(item.path):
                if is_hidden:
                    hidden += 1
                else:
                    names[-1].append(name)
        return _FoundFiles(layout, names, hidden)


def _is_directory(path: AnyPath) -> bool:
    if isinstance(path, RemotePath):
        return path.is_dir()
    return os.path.isdir(path)  # noqa: PTH112, it never raises


def _missing(path: RemotePath) -> str:
    return f"there is no file below {path}. Check the address."


def _relative(layout: DirectoryLayout, root: AnyPath) -> list[str]:
    """Return the path of each directory, relative to `root` if it is inside."""
    return [relative_path(item.path, root) for item in layout.directories]


@dataclass(frozen=True)
class _FoundFiles:
    """The files of a layout.

    Attributes:
        layout: the directories.
        names: the paths of the files in each directory of the layout, relative to it.
        hidden: how many hidden files there are beside them.
    """

    layout: DirectoryLayout
    names: list[list[str]]
    hidden: int

    def keys(self) -> list[str]:
        """Return the path of each file below the directory of its class."""
        members = zip(self.layout.directories, self.names, strict=True)
        return [f"{item.prefix}{name}" for item, names in members for name in names]

    def ignored_files(self) -> list[str]:
        """Return phrases that count the files in no directory of a class, and the hidden ones."""
        beside = {item.path.parent for item in self.layout.directories} | {self.layout.root}
        classes = {item.path for item in self.layout.directories}
        counts = {
            "file{} beside the directories of the classes": sum(map(count_files, beside - classes)),
            "hidden file{}": self.hidden,
        }
        return [
            f"{count:,} {what.format('s' if count > 1 else '')}"
            for what, count in counts.items()
            if count
        ]
