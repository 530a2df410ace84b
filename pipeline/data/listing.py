"""The image files of a data set, as its directories or its table describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tasks import classification
from pipeline.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.file_root import FileRoot

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Listing:
    """The image files of a data set as its directories or its table describe them.

    No file is opened to make one.

    Attributes:
        root: what relative names start from.
        names: the path of each file, relative to `root` or absolute, or its address.
        class_names: in the order of the labels.
        labels: of each file, as the task has them: int32 (n,), index in `class_names`, for
            classification.
        splits: int8 (n,), index in `SPLITS`; -1 for a file whose split is to be drawn.
        keys: what is hashed to draw a file's split: its path relative to its class directory, or
            its image in the table.
        groups: int64 (n,) or None; files with the same number belong in the same split.
        task: what is predicted.
    """

    root: FileRoot
    names: Sequence[str]
    class_names: tuple[str, ...]
    labels: np.ndarray
    splits: np.ndarray
    keys: Sequence[str]
    groups: np.ndarray | None
    task: Task = classification

    @property
    def given_splits(self) -> frozenset[str]:
        """The splits that are not drawn."""
        return frozenset(SPLITS[split] for split in set(self.splits.tolist()) if split >= 0)
