"""A table whose rows are examples: columns of numbers, with labels."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from pipeline.config import Config, Finding, Fraction, NonEmptyString
from pipeline.data.data_path import DataPath
from pipeline.data.grouping import number_groups
from pipeline.data.label_columns import LabelColumns, RowLabels, read_labels
from pipeline.data.listing import SPLITS
from pipeline.data.remote_path import AnyPath
from pipeline.data.source_config import SourceConfig, SplitName
from pipeline.data.split_column import read_splits
from pipeline.data.splits import Splits, splits_from_arrays, stratified_split
from pipeline.data.table_columns import column_values, named_column, number_values
from pipeline.data.table_reader import Table, read_table
from pipeline.errors import DataError
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)


class NumberColumnsConfig(Config):
    """Names of columns. Default: the usual names, such as label."""

    label: NonEmptyString | None = Field(None, description="Column of the classes or numbers.")
    labels: Annotated[tuple[NonEmptyString, ...], Field(min_length=1)] | None = Field(
        None, description="Columns of 0 and 1, one for each class, for data.task: multi_label."
    )
    split: NonEmptyString | None = Field(
        None,
        description="Column of the splits; rows without a value are drawn. Default: the column "
        "split, if there is one.",
    )


class ColumnGroupByConfig(Config):
    """What tells which rows belong in the same split."""

    column: NonEmptyString = Field(description="Column whose value is the group.")


class NumberTableConfig(SourceConfig):
    """A table of numbers with labels, a row for each example: CSV, TSV, JSON lines or Parquet."""

    source: Literal["table"]
    path: DataPath = Field(
        description="The table: .csv, .tsv, .jsonl or .parquet; also an address, such as "
        "s3://BUCKET/labels.csv."
    )
    features: Annotated[tuple[NonEmptyString, ...], Field(min_length=1)] = Field(
        description="Columns of the numbers that the model takes."
    )
    columns: NumberColumnsConfig = Field(
        NumberColumnsConfig(), description="Names of the other columns."
    )
    separator: NonEmptyString | None = Field(
        None,
        description="What stands between the classes of a row in their column, for data.task: "
        "multi_label. Default: the first of | ; and , that occurs.",
    )
    group_by: ColumnGroupByConfig | None = Field(
        None, description="Rows of one group, such as a patient, are drawn into the same split."
    )
    validation: Fraction = Field(
        0.2,
        description="Fraction of the training rows that becomes the validation split if the table "
        "has none; 0: none, and the last epoch is kept.",
    )
    test: Fraction = Field(
        0.2,
        description="Fraction of the training rows that becomes the test split if the table has "
        "none.",
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("classification", "multi_label", "regression")

    @property
    def location(self) -> AnyPath:
        return self.path

    def problems(self) -> Iterator[Finding]:
        if self.validation + self.test >= 1:
            yield (
                ("validation",),
                "expected less than 1 for the sum of validation and test. "
                f"Received {self.validation:g} + {self.test:g}.",
            )
        if self.group_by and self.group_by.column in self.features:
            yield ("features",), f"has the column of the groups, {self.group_by.column}. Remove it."
        if self.columns.label in self.features:
            yield ("features",), f"has the column of the labels, {self.columns.label}. Remove it."
        try:
            self._read()
        except DataError as error:
            key, _, message = str(error).partition(": ")
            yield tuple(key.removeprefix("data.").split(".")), message

    def warnings(self) -> Iterator[Finding]:
        for key, split in (("validation", "val"), ("test", "test")):
            if self._is_given(split) and key in self.model_fields_set:
                yield (key,), f"has no effect: the table has its own {split} split."

    def has_split(self, name: SplitName) -> bool:
        return {"val": self.validation, "test": self.test}[name] > 0 or self._is_given(name)

    def class_names(self) -> tuple[str, ...] | None:
        with contextlib.suppress(DataError):
            return self._read().labels.class_names
        return None

    def describe_files(self) -> str:
        rows = self._read()
        counts = Counter(split or "train" for split in rows.splits)
        shown = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        ignored = f" Ignored: {', '.join(rows.ignored)}." if rows.ignored else ""
        return (
            f"Found {len(rows.splits):,} rows of {len(self.features)} numbers in {self.path}: "
            f"{shown}.{ignored}"
        )

    def load(self) -> Splits:
        """Return the rows as examples.

        Raises:
            DataError: if the table cannot be read, lacks a column or has something else where a
                number is expected.
        """
        rows, task = self._read(), TASKS[self.task]
        logger.info(self.describe_files())
        numbers, labels, names = rows.numbers(), rows.labels.array(), rows.labels.class_names
        groups = number_groups(rows.groups) if rows.groups else None
        if groups is None:
            parts = self._parts(rows, task.strata(labels))
        else:
            strata = task.stratum_names(labels, names)
            parts = self._grouped_parts(rows, task.strata(labels), strata, groups)
        return splits_from_arrays(
            numbers,
            labels,
            class_names=names,
            parts=parts,
            groups=groups,
            feature_names=self.features,
            task=task,
        )

    def read_rows(self) -> tuple[np.ndarray, RowLabels, list[str]]:
        """Return the numbers of all rows, float32 (n, numbers), their labels and where they are.

        Raises:
            DataError: as `load`.
        """
        rows = self._read()
        places = [rows.table.where(row) for row in range(len(rows.table.lines))]
        return rows.numbers(), rows.labels, places

    def _parts(self, rows: _Rows, strata: np.ndarray) -> list[np.ndarray]:
        """Return the indices of the rows of each split, with those that are drawn."""
        import numpy as np

        given = {name: np.flatnonzero([one == name for one in rows.splits]) for name in _DRAWN}
        pool = np.flatnonzero([one not in _DRAWN for one in rows.splits])
        shares = {"val": self.validation, "test": self.test}
        fractions = [0.0 if len(given[name]) else shares[name] for name in _DRAWN]
        drawn = stratified_split(strata[pool], fractions=fractions, seed=self.split_seed)
        others = [
            given[n] if len(given[n]) else pool[p] for n, p in zip(_DRAWN, drawn[1:], strict=True)
        ]
        return [pool[drawn[0]], *others]

    def _grouped_parts(
        self, rows: _Rows, strata: np.ndarray, stratum_names: list[str], groups: np.ndarray
    ) -> list[np.ndarray]:
        """Return what `_parts` does, with the rows of a group in the same one.

        Raises:
            DataError: if there are too few groups for the splits.
        """
        import numpy as np

        from pipeline.data.split_assignment import assign_splits

        shares = {"val": self.validation, "test": self.test}
        drawn = {name: share for name, share in shares.items() if share and name not in rows.splits}
        # Other splits may be drawn from train.
        given = [SPLITS.index(one) if one in _DRAWN else -1 for one in rows.splits]
        splits = assign_splits(
            rows.groups,
            strata,
            np.array(given, np.int8),
            groups,
            fractions=drawn,
            seed=self.split_seed,
            stratum_names=stratum_names,
        )
        parts = {name: np.flatnonzero(splits == SPLITS.index(name)) for name in SPLITS}
        empty = [name for name in ("train", *drawn) if not len(parts[name])]
        if empty:
            raise DataError(
                f"data.group_by: no rows are left for {' and '.join(empty)}, because the "
                f"{len(splits):,} rows have {len(np.unique(groups)):,} different values of "
                f"{self.group_by.column if self.group_by else ''}. Set data.validation and "
                "data.test to 0 where there are too few groups, or remove data.group_by."
            )
        return [parts["train"], *(parts[name] for name in _DRAWN)]

    def _is_given(self, name: str) -> bool:
        with contextlib.suppress(DataError):
            return name in self._read().splits
        return False

    def _read(self) -> _Rows:
        table = read_table(self.path)
        for name in self.features:
            named_column(table, name, "data.features")
        columns = LabelColumns(self.columns.label, self.columns.labels, self.separator)
        labels = read_labels(table, columns, TASKS[self.task].LABEL_KIND)
        splits, ignored = read_splits(table, self.columns.split)
        groups = []
        if self.group_by:
            column = named_column(table, self.group_by.column, "data.group_by")
            groups = column_values(table, column)
        return _Rows(table, self.features, labels, splits, ignored, groups)


_DRAWN = ("val", "test")


@dataclass(frozen=True)
class _Rows:
    """What the rows of a table say.

    Attributes:
        table: the table.
        features: the columns of the numbers.
        labels: of the rows.
        splits: of each row, None to draw it.
        ignored: what is not used, in phrases.
        groups: the group of each row; empty without `group_by`.
    """

    table: Table
    features: tuple[str, ...]
    labels: RowLabels
    splits: list[str | None]
    ignored: list[str]
    groups: list[str]

    def numbers(self) -> np.ndarray:
        """Return the numbers of each row, float32 (n, numbers)."""
        import numpy as np

        columns = [number_values(self.table, name, "data.features") for name in self.features]
        return np.array(columns, np.float32).T.copy()
