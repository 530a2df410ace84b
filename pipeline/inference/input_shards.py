"""Lists what is to be predicted as shards: pieces that are read, and predicted, independently."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.addresses import is_remote
from pipeline.data.remote_path import AnyPath, RemotePath
from pipeline.data.table_columns import IMAGE_COLUMNS, usual_columns
from pipeline.data.table_reader import PARQUET_SUFFIXES, TABLE_SUFFIXES, read_table
from pipeline.errors import DataError, UsageError, escape_unprintable
from pipeline.inference.input_files import (
    TAR_SUFFIXES,
    expand_paths,
    expand_ranges,
)

if TYPE_CHECKING:
    from pipeline.inference.model_interface import ModelInterface

IMAGES_PER_SHARD = 2048
NUMBERS_PER_SHARD = 65_536  # rows

_VERSION_THREADS = 16  # hide the latency of a network file system


@dataclass(frozen=True)
class FileShard:
    """Image files."""

    files: tuple[AnyPath, ...]

    @property
    def count(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class TarShard:
    """The images in a tar file.

    Attributes:
        file: the file.
        version: what changes with its content.
    """

    file: AnyPath
    version: str

    @property
    def count(self) -> None:
        """The number of images, which is not known before they are read."""


@dataclass(frozen=True)
class RowShard:
    """Rows of a table of images or of numbers, with what stands in them.

    Attributes:
        file: the table.
        lines: where each row begins in the file, from 1.
        rows: the numbers, or the path of the image, of each.
    """

    file: AnyPath
    lines: tuple[int, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def count(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class ParquetShard:
    """Row groups of a Parquet file of images or of numbers.

    Attributes:
        file: the table.
        columns: of the numbers, or that of the images.
        groups: the first row group, and that after the last one.
        first_row: the number of the first row in the file, from 1.
        count: the number of rows.
        version: what changes with the content of the file.
    """

    file: AnyPath
    columns: tuple[str, ...]
    groups: tuple[int, int]
    first_row: int
    count: int
    version: str


Shard = FileShard | TarShard | RowShard | ParquetShard


def list_shards(
    arguments: Sequence[str], interface: ModelInterface, *, column: str | None = None
) -> list[Shard]:
    """Return the shards of what arguments name, each file once.

    Args:
        arguments: paths, patterns and addresses of images, directories of images, tar files and
            tables; of tables, for a model of numbers.
        interface: of the model.
        column: of the images in tables; None for the one with a usual name.

    Raises:
        UsageError: if one names nothing, or a table cannot be read or lacks a column.
    """
    shards: list[Shard] = []
    images: list[AnyPath] = []
    for file, is_table in dict(_files(arguments, takes_numbers=interface.takes_numbers)).items():
        if is_table:
            shards += _table_shards(file, interface, column)
        elif file.name.lower().endswith(TAR_SUFFIXES):
            shards.append(TarShard(file, file_version(file)))
        else:
            images.append(file)
    starts = range(0, len(images), IMAGES_PER_SHARD)
    return [*(FileShard(tuple(images[n : n + IMAGES_PER_SHARD])) for n in starts), *shards]


def source_columns(shards: Iterable[Shard], interface: ModelInterface) -> tuple[str, ...]:
    """Return the names of the columns that say which image, or which row, a prediction is of."""
    kinds = {type(shard) for shard in shards}
    has_tables = bool(kinds & {RowShard, ParquetShard})
    names = ["file", *["line"] * has_tables]
    if not interface.takes_numbers:
        names += ["image"] * (has_tables or TarShard in kinds) + ["key"] * (TarShard in kinds)
    return tuple(names)


def shard_version(shard: Shard) -> dict[str, Any]:
    """Return the name of a shard, and a digest that changes with what is to be predicted."""
    facts: Any = shard
    if isinstance(shard, FileShard):
        with ThreadPoolExecutor(_VERSION_THREADS) as threads:
            versions = threads.map(file_version, shard.files)
            facts = [(str(f), version) for f, version in zip(shard.files, versions, strict=True)]
    digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()
    file = shard.files[0] if isinstance(shard, FileShard) else shard.file
    return {"file": str(file), "count": shard.count, "digest": digest}


def file_version(file: AnyPath) -> str:
    """Return what changes with the content of a file; empty if it is not there."""
    if isinstance(file, RemotePath):
        return repr(file.state)
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_size}|{status.st_mtime_ns}"


def _files(arguments: Sequence[str], *, takes_numbers: bool) -> Iterator[tuple[AnyPath, bool]]:
    """Yield the files that arguments name, and whether each is a table."""
    for argument in (each for given in arguments for each in expand_ranges(given)):
        # A pattern for images may match a table that lies beside them.
        is_table = takes_numbers or argument.lower().endswith(tuple(TABLE_SUFFIXES))
        if is_remote(argument):
            from pipeline.inference.remote_inputs import find_remote_files

            yield from ((file, is_table) for file in find_remote_files(argument))
        elif is_table and Path(argument).is_dir():
            yield Path(argument), True  # which cannot be read
        else:
            yield from ((file, is_table) for file in expand_paths([argument]))


def _table_shards(file: AnyPath, interface: ModelInterface, column: str | None) -> Iterator[Shard]:
    if file.suffix.lower() in PARQUET_SUFFIXES:
        yield from _parquet_shards(file, interface, column)
        return
    with _table_errors():
        table = read_table(file)
    columns = _columns(file, list(table.columns), interface, column)
    rows = list(zip(*(table.columns[name] for name in columns), strict=True))
    size = _rows_per_shard(interface)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield RowShard(file, tuple(table.lines[part]), tuple(rows[part]))


def _parquet_shards(
    file: AnyPath, interface: ModelInterface, column: str | None
) -> Iterator[ParquetShard]:
    """Yield shards of whole row groups, which are read without those before them."""
    from pipeline.data.parquet_rows import parquet_layout

    with _table_errors():
        layout = parquet_layout(file)
    version, columns = file_version(file), _columns(file, layout.columns, interface, column)
    first_group, first_row, count = 0, 1, 0
    for group, rows in enumerate(layout.group_rows):
        count += rows
        if count >= _rows_per_shard(interface) or group == len(layout.group_rows) - 1:
            groups = (first_group, group + 1)
            yield ParquetShard(file, columns, groups, first_row, count, version)
            first_group, first_row, count = group + 1, first_row + count, 0


def _rows_per_shard(interface: ModelInterface) -> int:
    return NUMBERS_PER_SHARD if interface.takes_numbers else IMAGES_PER_SHARD


def _columns(
    file: AnyPath, columns: Sequence[str], interface: ModelInterface, column: str | None
) -> tuple[str, ...]:
    """Return the columns of a table that a model needs."""
    if interface.feature_names is not None:
        missing = [name for name in interface.feature_names if name not in columns]
        if missing:
            raise UsageError(
                f"{file} has no column {escape_unprintable(', '.join(missing))}. Expected a column "
                f"for each number that the model takes: {', '.join(interface.feature_names)}."
            )
        return interface.feature_names
    shown = escape_unprintable(", ".join(columns))
    if column is not None:
        if column not in columns:
            raise UsageError(f"{file} has no column {column}. Expected one of: {shown}.")
        return (column,)
    found = usual_columns(columns, IMAGE_COLUMNS)
    if len(found) != 1:
        raise UsageError(
            f"{file} has {'several columns' if found else 'no column'} that may be the images. "
            f"Name the one with --column. Received: {shown}."
        )
    return tuple(found)


@contextlib.contextmanager
def _table_errors() -> Iterator[None]:
    """Raise an error of a table without the key of a recipe, as it is named on the command line."""
    try:
        yield
    except DataError as error:
        raise UsageError(str(error).removeprefix("data.path: ")) from None
