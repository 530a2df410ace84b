"""A table of image files with their labels, and their splits or not."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipeline.config import Config, FilePath, Finding, NonEmptyString
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.grouping import TableGroupByConfig, number_groups
from pipeline.data.listing import SPLITS, Listing
from pipeline.data.split_names import split_of
from pipeline.data.table_reader import Table, read_table
from pipeline.errors import DataError, escape_unprintable

# The usual names of columns; the later ones count if there is none of the former.
_IMAGE = (
    (
        *("image", "images", "image_path", "img_path", "img", "image_name", "imagename", "path"),
        *("filename", "file_name", "filenames", "file", "filepath", "file_path", "filepaths"),
    ),
    ("image_id", "imageid", "id", "name"),
)
_LABEL = (
    ("label", "labels", "class", "class_name", "classname", "category"),
    ("target", "species", "breed", "variety", "diagnosis", "dx", "class_id", "label_id"),
)
_SPLIT = (("split", "subset", "partition", "set", "data_set", "dataset"),)
_SEPARATORS = ("|", ";", ",")
_SHOWN_ROWS = 10


logger = logging.getLogger(__name__)


class ColumnsConfig(Config):
    """Names of columns. Default: the usual names, such as image and label."""

    image: NonEmptyString | None = Field(None, description="Column of the paths of the images.")
    label: NonEmptyString | None = Field(None, description="Column of the classes.")
    split: NonEmptyString | None = Field(
        None,
        description="Column of the splits; images without a value are drawn. Default: the column "
        "split, if there is one.",
    )


class TableConfig(FileSourceConfig):
    """A table of image files and labels: CSV, TSV, JSON lines or Parquet."""

    source: Literal["table"]
    path: FilePath = Field(description="The table: .csv, .tsv, .jsonl or .parquet.")
    images: FilePath | None = Field(
        None,
        description="Directory that the paths in the table are relative to. Default: that of the "
        "table.",
    )
    columns: ColumnsConfig = Field(ColumnsConfig(), description="Names of the columns.")
    group_by: TableGroupByConfig | None = Field(
        None,
        description="Images of one group, such as a patient, are drawn into the same split.",
    )

    @property
    def image_root(self) -> Path:
        return self.images or self.path.parent

    @property
    def location(self) -> Path:
        return self.path

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

        rows = self._read()
        label_of = {name: label for label, name in enumerate(rows.class_names)}
        groups = self._group_names(rows)
        logger.info(self._describe(rows))
        return Listing(
            root=self.image_root,
            names=rows.names,
            class_names=rows.class_names,
            labels=np.array([label_of[label] for label in rows.labels], np.int32),
            # Other splits may be drawn from train.
            splits=np.array(
                [SPLITS.index(one) if one in ("val", "test") else -1 for one in rows.splits],
                np.int8,
            ),
            keys=groups or rows.images,
            groups=number_groups(groups) if groups else None,
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
        column = _named_column(rows.table, self.group_by.column, "data.group_by")
        return _values(rows.table, column)

    def _read(self) -> _Rows:
        table = read_table(self.path)
        image = _column(table, self.columns.image, _IMAGE, "image")
        labels = _labels(table, self.columns.label)
        images = _values(table, image)
        _check_repetitions(table, images, labels)
        splits, ignored = _splits(table, self.columns.split)
        return _Rows(
            table, images, _find_files(table, images, self.image_root), labels, splits, ignored
        )


@dataclass(frozen=True)
class _Rows:
    """What the rows of a table say.

    Attributes:
        table: the table.
        images: the path of each image, as it is written.
        names: the path of each image, relative to the root of the images or absolute.
        labels: the class of each image.
        splits: of each image, None to draw it.
        ignored: what is not used, in phrases.
    """

    table: Table
    images: list[str]
    names: list[str]
    labels: list[str]
    splits: list[str | None]
    ignored: list[str]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels)))

    @property
    def given(self) -> frozenset[str]:
        return frozenset(split for split in self.splits if split)


def _column(table: Table, name: str | None, usual: Sequence[Sequence[str]], role: str) -> str:
    """Return the column with a role: the one that the recipe names, or one with a usual name.

    Raises:
        DataError: if there is none, or several.
    """
    if name is not None:
        return _named_column(table, name, f"data.columns.{role}")
    for names in usual:
        found = [column for column in table.columns if column.lower() in names]
        if len(found) > 1:
            raise DataError(
                f"data.columns: {' and '.join(found)} in {table.path} may be the {role} column. "
                f"Set data.columns.{role}."
            )
        if found:
            return found[0]
    raise DataError(
        f"data.columns: no column of {table.path} is known to be the {role} column. Set "
        f"data.columns.{role}, or add a first line with the names of the columns. Received: "
        f"{_few(list(table.columns))}."
    )


def _named_column(table: Table, name: str, key: str) -> str:
    if name not in table.columns:
        raise DataError(
            f"{key}: {table.path} has no column {name}. Expected one of: "
            f"{_few(list(table.columns))}."
        )
    return name


def _values(table: Table, column: str) -> list[str]:
    """Return the values of a column.

    Raises:
        DataError: if a row has none, or a list.
    """
    values = table.columns[column]
    empty = [row for row, value in enumerate(values) if value in (None, "")]
    if empty:
        raise DataError(
            f"data.path: {table.path} has no {column} in {_few([table.where(i) for i in empty])}."
        )
    lists = next((row for row, value in enumerate(values) if isinstance(value, list)), None)
    if lists is not None:
        raise DataError(
            f"data.path: the {column} in {table.where(lists)} of {table.path} is a list. Expected "
            "one value."
        )
    return values


def _labels(table: Table, name: str | None) -> list[str]:
    """Return the class of each row.

    Raises:
        DataError: if there is no column of classes, or images have several.
    """
    is_multi_label = "Images with several labels are not supported. Expected one column of classes"
    try:
        column = _column(table, name, _LABEL, "label")
    except DataError:
        binary = [
            column
            for column, values in table.columns.items()
            if set(map(str, values)) <= {"0", "1", "0.0", "1.0", "false", "true"}
        ]
        if name is None and len(binary) > 1:
            raise DataError(
                f"data.columns: {table.path} has a column of 0 and 1 for each of "
                f"{_few(binary)}. {is_multi_label}; set data.columns.label if there is one."
            ) from None
        raise
    values = table.columns[column]
    known = {value for value in values if isinstance(value, str)}
    for row, value in enumerate(values):
        if _is_several(value, known):
            raise DataError(
                f"data.columns: the {column} in {table.where(row)} of {table.path} is several: "
                f"{escape_unprintable(str(value))}. {is_multi_label}, with one class per image."
            )
    return _values(table, column)


def _is_several(value: Any, known: set[str]) -> bool:
    """Return whether a value is a list of labels, or labels joined that occur alone elsewhere."""
    if isinstance(value, list):
        return True
    if not isinstance(value, str):
        return False
    if value.startswith("[") and value.endswith("]"):
        return True
    return any(
        separator in value and {part.strip() for part in value.split(separator)} <= known
        for separator in _SEPARATORS
    )


def _splits(table: Table, name: str | None) -> tuple[list[str | None], list[str]]:
    """Return the split of each row, and the column that looked like one but is not."""
    none: list[str | None] = [None] * len(table.lines)
    usual = [column for column in table.columns if column.lower() in _SPLIT[0]]
    if name is None and len(usual) != 1:
        return none, []
    column = usual[0] if name is None else _named_column(table, name, "data.columns.split")
    splits: list[str | None] = []
    for row, value in enumerate(table.columns[column]):
        split = split_of(value) if isinstance(value, str) else None
        if split is None and value not in (None, ""):
            if name is None:
                return none, [f"column {column} (its values are not splits)"]
            raise DataError(
                f"data.columns.split: expected train, val or test in {table.where(row)} of "
                f"{table.path}. Received {escape_unprintable(str(value))}."
            )
        splits.append(split)
    return splits, []


def _check_repetitions(table: Table, images: Sequence[str], labels: Sequence[str]) -> None:
    first: dict[str, int] = {}
    repeated = []
    for row, image in enumerate(images):
        before = first.setdefault(os.path.normpath(image), row)
        if before != row:
            repeated.append((before, row))
    if not repeated:
        return
    contradictory = [(a, b) for a, b in repeated if labels[a] != labels[b]]
    shown = [
        f"{images[a]} in {table.where(a)} ({labels[a]}) and {table.where(b)} ({labels[b]})"
        for a, b in contradictory or repeated
    ]
    raise DataError(
        f"data.path: {table.path} has more than one {'label' if contradictory else 'row'} for an "
        f"image: {_few(shown)}. Keep one row per image."
    )


def _find_files(table: Table, images: Sequence[str], root: Path) -> list[str]:
    """Return the path of each image, relative to `root` or absolute.

    Suffixes may be missing, as in many tables of identifiers.

    Raises:
        DataError: if files do not exist.
    """
    directories: dict[str, _Directory] = {}
    names: list[str] = []
    missing: list[int] = []
    for row, image in enumerate(images):
        for path in (image, image.replace("\\", "/")):
            directory, name = os.path.split(path)
            where = os.path.join(root, directory)  # noqa: PTH118, a million names stay strings
            listed = directories.get(where) or directories.setdefault(where, _list_directory(where))
            found = name if name in listed.names else listed.by_stem.get(name)
            if found:
                names.append(os.path.join(directory, found))  # noqa: PTH118
                break
        else:
            missing.append(row)
    if missing:
        shown = [f"{images[row]} in {table.where(row)}" for row in missing]
        raise DataError(
            f"data.path: {table.path} names files that are not in {root}, {len(missing):,} of "
            f"{len(images):,}: {_few(shown)}. Correct the rows, or set data.images to the "
            "directory that the paths are relative to."
        )
    return names


@dataclass(frozen=True)
class _Directory:
    """The names of the files in a directory, and those by their stem that are the only one."""

    names: frozenset[str]
    by_stem: dict[str, str]


def _list_directory(path: str) -> _Directory:
    names: frozenset[str] = frozenset()
    with contextlib.suppress(OSError, ValueError):  # of a path that is none
        names = frozenset(os.listdir(path))  # noqa: PTH208
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        stems[os.path.splitext(name)[0]].append(name)  # noqa: PTH122
    return _Directory(names, {stem: found[0] for stem, found in stems.items() if len(found) == 1})


def _few(items: Sequence[str]) -> str:
    shown = ", ".join(escape_unprintable(item) for item in items[:_SHOWN_ROWS])
    more = len(items) - _SHOWN_ROWS
    return f"{shown} and {more:,} more" if more > 0 else shown
