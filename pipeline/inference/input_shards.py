"""Lists what is to be predicted as shards: pieces that are read, and predicted, independently."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.addresses import is_remote
from pipeline.data.table_columns import IMAGE_COLUMNS, usual_columns
from pipeline.data.table_reader import PARQUET_SUFFIXES, TABLE_SUFFIXES, Table, read_table
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


@dataclass(frozen=True)
class FileShard:
    """Image files.

    Attributes:
        files: their paths and addresses.
        versions: what changes with the content of each, as the listing of a remote directory has
            it; empty for local files.
    """

    files: tuple[str, ...]
    versions: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class TarShard:
    """The images in a tar file.

    Attributes:
        file: its path or its address.
        version: what changes with its content.
    """

    file: str
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

    file: str
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

    file: str
    columns: tuple[str, ...]
    groups: tuple[int, int]
    first_row: int
    count: int
    version: str


Shard = FileShard | TarShard | RowShard | ParquetShard


@dataclass(frozen=True)
class InputFile:
    """A file that arguments name.

    Attributes:
        name: its path or its address.
        version: what changes with its content; empty for a local image.
        is_table: whether it is a table.
    """

    name: str
    version: str = ""
    is_table: bool = False


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
    files = {file.name: file for file in _files(arguments, takes_numbers=_takes_numbers(interface))}
    shards: list[Shard] = []
    images: list[InputFile] = []
    for file in files.values():
        if file.is_table:
            shards += _table_shards(file, interface, column)
        elif file.name.lower().endswith(TAR_SUFFIXES):
            shards.append(TarShard(file.name, file.version or local_version(file.name)))
        else:
            images.append(file)
    return [*_file_shards(images), *shards]


def source_columns(shards: Iterable[Shard], interface: ModelInterface) -> tuple[str, ...]:
    """Return the names of the columns that say which image, or which row, a prediction is of."""
    kinds = {type(shard) for shard in shards}
    has_tables = bool(kinds & {RowShard, ParquetShard})
    names = ["file", *["line"] * has_tables]
    if not _takes_numbers(interface):
        names += ["image"] * (has_tables or TarShard in kinds) + ["key"] * (TarShard in kinds)
    return tuple(names)


def shard_version(shard: Shard) -> dict[str, Any]:
    """Return the name of a shard, and a digest that changes with what is to be predicted."""
    if isinstance(shard, FileShard):
        name = shard.files[0]
        versions = shard.versions or tuple(map(local_version, shard.files))
        shard = replace(shard, versions=versions)
    else:
        name = shard.file
    digest = hashlib.sha256(repr(shard).encode("utf-8", "surrogateescape")).hexdigest()
    return {"file": name, "count": shard.count, "digest": digest}


def local_version(file: str) -> str:
    """Return what changes with the content of a file on this machine; empty if there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116, for each of a million images
    except OSError:
        return ""
    return f"{status.st_size}|{status.st_mtime_ns}"


def _takes_numbers(interface: ModelInterface) -> bool:
    return interface.feature_names is not None


def _files(arguments: Sequence[str], *, takes_numbers: bool) -> Iterator[InputFile]:
    for argument in (each for given in arguments for each in expand_ranges(given)):
        # A pattern for images may match a table that lies beside them.
        is_table = takes_numbers or Path(argument).suffix.lower() in TABLE_SUFFIXES
        if is_remote(argument):
            from pipeline.inference.remote_inputs import find_remote_files

            for name, version in find_remote_files(argument):
                yield InputFile(name, version, is_table)
        elif is_table and Path(argument).is_dir():
            yield InputFile(argument, is_table=True)  # which cannot be read
        else:
            yield from (InputFile(str(path), "", is_table) for path in expand_paths([argument]))


def _file_shards(files: Sequence[InputFile]) -> Iterator[FileShard]:
    for start in range(0, len(files), IMAGES_PER_SHARD):
        some = files[start : start + IMAGES_PER_SHARD]
        versions = tuple(file.version for file in some) if any(f.version for f in some) else ()
        yield FileShard(tuple(file.name for file in some), versions)


def _table_shards(
    file: InputFile, interface: ModelInterface, column: str | None
) -> Iterator[Shard]:
    if Path(file.name).suffix.lower() in PARQUET_SUFFIXES:
        yield from _parquet_shards(file, interface, column)
        return
    table = _read_table(file.name)
    columns = _columns(file.name, list(table.columns), interface, column)
    rows = list(zip(*(table.columns[name] for name in columns), strict=True))
    size = _rows_per_shard(interface)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield RowShard(file.name, tuple(table.lines[part]), tuple(rows[part]))


def _parquet_shards(
    file: InputFile, interface: ModelInterface, column: str | None
) -> Iterator[ParquetShard]:
    """Yield shards of whole row groups, which are read without those before them."""
    from pipeline.data.parquet_rows import parquet_layout

    with _table_errors():
        layout = parquet_layout(file.name)
    version = file.version or local_version(file.name)
    columns = _columns(file.name, layout.columns, interface, column)
    first_group, first_row, count = 0, 1, 0
    for group, rows in enumerate(layout.group_rows):
        count += rows
        if count >= _rows_per_shard(interface) or group == len(layout.group_rows) - 1:
            groups = (first_group, group + 1)
            yield ParquetShard(file.name, columns, groups, first_row, count, version)
            first_group, first_row, count = group + 1, first_row + count, 0


def _rows_per_shard(interface: ModelInterface) -> int:
    return NUMBERS_PER_SHARD if _takes_numbers(interface) else IMAGES_PER_SHARD


def _columns(
    file: str, columns: Sequence[str], interface: ModelInterface, column: str | None
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


def _read_table(file: str) -> Table:
    with _table_errors():
        if not is_remote(file):
            return read_table(Path(file))
        from pipeline.inference.remote_inputs import local_copy

        with local_copy(file) as path:
            return read_table(path)


@contextlib.contextmanager
def _table_errors() -> Iterator[None]:
    """Raise an error of a table without the key of a recipe, as it is named on the command line."""
    try:
        yield
    except DataError as error:
        raise UsageError(str(error).removeprefix("data.path: ")) from None
