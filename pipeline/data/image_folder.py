"""A directory of photographs: one subdirectory per class, split into train, val and test or not."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.config import Config, FilePath, Finding, NonEmptyString
from pipeline.data.directory_layout import DirectoryLayout, LayoutName, find_layout, find_unlabelled
from pipeline.data.download import DownloadConfig, download_archive
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.file_walk import count_files, walk_files
from pipeline.data.grouping import GroupByConfig, number_groups
from pipeline.data.listing import SPLITS, Listing
from pipeline.errors import DataError
from pipeline.tasks.tasks import TASKS

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
    path: FilePath = Field(
        description="Directory with train/, val/ and test/, or with one subdirectory per class."
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
    def image_root(self) -> Path:
        return self.path

    def problems(self) -> Iterator[Finding]:
        yield from super().problems()
        if not self._exists():
            if self.download is None:
                yield (
                    ("path",),
                    f"the directory {self.path} does not exist, and data.download is not set.",
                )
            return
        try:
            self._layout()
            if self.group_by:
                self.group_by.group_names(self._find().keys())
        except DataError as error:
            yield self.finding(error)
        except OSError as error:
            yield ("path",), f"{error.filename} cannot be read: {error.strerror}."

    def given_splits(self) -> frozenset[str] | None:
        return self._layout().splits if self._exists() else None

    def class_names(self) -> tuple[str, ...] | None:
        with contextlib.suppress(DataError, OSError):
            return self._layout().class_names
        return None

    def _exists(self) -> bool:
        return os.path.isdir(self.path)  # noqa: PTH112, it never raises

    def _layout(self) -> DirectoryLayout:
        try:
            return find_layout(
                self.path,
                layout=None if self.layout == "auto" else self.layout,
                splits=self.splits.named() if self.splits else None,
            )
        except DataError:
            is_recognized = self.layout == "auto" and not self.splits
            if TASKS[self.task].DRAWS_IMAGES and is_recognized:  # which needs no classes
                return find_unlabelled(self.path)
            raise

    def list_files(self) -> Listing:
        import numpy as np

        if not self._exists():
            if self.download is None:
                raise DataError(f"data.path: the directory {self.path} does not exist.")
            download_archive(self.download, self.path)
        found = self._find()
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
            root=self.path,
            names=[
                os.path.join(directory, name)  # noqa: PTH118, a million names stay strings
                for directory, names in zip(self._relative(layout), found.names, strict=True)
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
        return self._describe(self._find()) if self._exists() else None

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

    def _relative(self, layout: DirectoryLayout) -> list[str]:
        """Return the path of each directory, relative to `path` if it is inside."""
        paths = (item.path for item in layout.directories)
        return [
            str(path.relative_to(self.path) if path.is_relative_to(self.path) else path)
            for path in paths
        ]

    def _find(self) -> _FoundFiles:
        layout, hidden = self._layout(), 0
        names: list[list[str]] = []
        for item in layout.directories:
            names.append([])
            for name, is_hidden in walk_files(item.path):
                if is_hidden:
                    hidden += 1
                else:
                    names[-1].append(name)
        return _FoundFiles(layout, names, hidden)


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
