"""A table of image files with their labels, and their splits or not."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipeline.config import Config, Finding, NonEmptyString
from pipeline.data.data_path import DataPath
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.grouping import TableGroupByConfig, number_groups
from pipeline.data.label_columns import LabelColumns, RowLabels, read_labels
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.remote_path import AnyPath
from pipeline.data.split_column import read_splits
from pipeline.data.table_columns import (
    IMAGE_COLUMNS,
    column_values,
    few,
    find_column,
    named_column,
)
from pipeline.data.table_images import find_files
from pipeline.data.table_reader import Table, read_table
from pipeline.errors import DataError
from pipeline.secrets import mask_credentials
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.data.file_root import FileRoot

logger = logging.getLogger(__name__)


class ColumnsConfig(Config):
    """Names of columns. Default: the usual names, such as image and label."""

    image: NonEmptyString | None = Field(None, description="Column of the paths of the images.")
    label: NonEmptyString | None = Field(None, description="Column of the classes or numbers.")
    labels: Annotated[tuple[NonEmptyString, ...], Field(min_length=1)] | None = Field(
        None,
        description="Columns of 0 and 1, one for each class, for data.task: multi_label. Default: "
        "the columns of 0 and 1, unless there is a column of the classes.",
    )
    split: NonEmptyString | None = Field(
        None,
        description="Column of the splits; images without a value are drawn. Default: the column "
        "split, if there is one.",
    )


class TableConfig(FileSourceConfig):
    """A table of image files and labels: CSV, TSV, JSON lines or Parquet."""

    source: Literal["table"]
    path: DataPath = Field(
        description="The table: .csv, .tsv, .jsonl or .parquet; also an address, such as "
        "s3://BUCKET/labels.csv."
    )
    images: DataPath | None = Field(
        None,
        description="Directory, or address, that the paths in the table are relative to. Default: "
        "that of the table. The table may have addresses in place of paths.",
    )
    columns: ColumnsConfig = Field(ColumnsConfig(), description="Names of the columns.")
    separator: NonEmptyString | None = Field(
        None,
        description="What stands between the classes of an image in their column, for data.task: "
        "multi_label. Default: the first of | ; and , that occurs.",
    )
    group_by: TableGroupByConfig | None = Field(
        None,
        description="Images of one group, such as a patient, are drawn into the same split.",
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(TASKS)

    @property
    def image_root(self) -> FileRoot:
        from pipeline.data.file_root import FileRoot

        return FileRoot(self._directory, self.cache_bytes)

    @property
    def location(self) -> AnyPath:
        return self.path

    @property
    def _directory(self) -> AnyPath:
        """What the paths in the table are relative to."""
        return self.images or self.path.parent

    def problems(self) -> Iterator[Finding]:
        yield from super().problems()
        try:
            self._group_names(self._read())
        except DataError as error:
            yield self.finding(error)

    def given_splits(self) -> frozenset[str]:
        return self._read().given

    def class_names(self) -> tuple[str, ...] | None:
        with contextlib.suppress(DataError):
            return self._read().class_names
        return None

    def list_files(self) -> Listing:
        import numpy as np

        rows = self._read(is_fresh=True)
        groups = self._group_names(rows)
        logger.info(self._describe(rows))
        return Listing(
            root=self.image_root,
            names=rows.names,
            class_names=rows.class_names,
            labels=rows.labels.array(),
            # Other splits may be drawn from train.
            splits=np.array(
                [SPLITS.index(one) if one in ("val", "test") else -1 for one in rows.splits],
                np.int8,
            ),
            keys=groups or rows.images,
            groups=number_groups(groups) if groups else None,
            task=TASKS[self.task],
        )

    def describe_files(self) -> str | None:
        return self._describe(self._read())

    def _describe(self, rows: _Rows) -> str:
        return self.describe_counts(
            f"{self.path}",
            "images",
            rows.class_names,
            Counter(split or "train" for split in rows.splits),
            rows.given,
            rows.ignored,
        )

    def _group_names(self, rows: _Rows) -> list[str] | None:
        if self.group_by is None:
            return None
        if self.group_by.column is None:
            return self.group_by.group_names(rows.images)
        column = named_column(rows.table, self.group_by.column, "data.group_by")
        return column_values(rows.table, column)

    def _read(self, *, is_fresh: bool = False) -> _Rows:
        table = read_table(self.path, self.cache_bytes)
        image = find_column(table, self.columns.image, IMAGE_COLUMNS, "image")
        labels = read_labels(
            table,
            LabelColumns(self.columns.label, self.columns.labels, self.separator),
            TASKS[self.task].LABEL_KIND,
        )
        images = column_values(table, image)
        _check_repetitions(table, images, labels)
        splits, ignored = read_splits(table, self.columns.split)
        names = find_files(table, images, self._directory, is_fresh=is_fresh)
        return _Rows(table, images, names, labels, splits, ignored)


@dataclass(frozen=True)
class _Rows:
    """What the rows of a table say.

    Attributes:
        table: the table.
        images: the path of each image, as it is written.
        names: the path of each image, relative to the root of the images or absolute.
        labels: of the images.
        splits: of each image, None to draw it.
        ignored: what is not used, in phrases.
    """

    table: Table
    images: list[str]
    names: list[str]
    labels: RowLabels
    splits: list[str | None]
    ignored: list[str]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.labels.class_names

    @property
    def given(self) -> frozenset[str]:
        return frozenset(split for split in self.splits if split)


def _check_repetitions(table: Table, images: Sequence[str], labels: RowLabels) -> None:
    first: dict[str, int] = {}
    repeated = []
    for row, image in enumerate(images):
        before = first.setdefault(os.path.normpath(image), row)
        if before != row:
            repeated.append((before, row))
    if not repeated:
        return
    contradictory = [(a, b) for a, b in repeated if not labels.is_same(a, b)]
    shown = [
        f"{mask_credentials(images[a])} in {table.where(a)} ({labels.describe(a)}) and "
        f"{table.where(b)} ({labels.describe(b)})"
        for a, b in contradictory or repeated
    ]
    raise DataError(
        f"data.path: {table.path} has more than one {'label' if contradictory else 'row'} for an "
        f"image: {few(shown)}. Keep one row per image."
    )
