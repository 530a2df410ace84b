"""Finds the image files that the rows of a table name."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.addresses import protocol_of
from pipeline.data.remote_path import AnyPath, RemotePath, any_path
from pipeline.data.table_columns import few
from pipeline.data.table_reader import Table
from pipeline.errors import DataError, PipelineError, escape_unprintable


def find_files(
    table: Table, images: Sequence[str], root: AnyPath, *, is_fresh: bool = False
) -> list[str]:
    """Return the path of each image, relative to `root` or absolute, or its address.

    Suffixes may be missing, as in many tables of identifiers. Addresses stay as they are: whether
    there is such a file is seen when it is read.

    Args:
        table: the table.
        images: the path or the address of each image, as the table has it.
        root: what paths are relative to.
        is_fresh: whether to list remote folders now, instead of within the last minute.

    Raises:
        DataError: if files do not exist, or an address cannot be used.
    """
    directories: dict[str, _Directory] = {}
    names: list[str] = []
    missing: list[int] = []
    for row, image in enumerate(images):
        if protocol_of(image):
            _check_address(table, row, image)
            names.append(image)
            continue
        for path in (image, image.replace("\\", "/")):
            directory, name = os.path.split(path)
            listed = directories.get(directory)
            if listed is None:
                listed = directories[directory] = _list_directory(root, directory, is_fresh)
            found = name if listed.has(name) else listed.by_stem.get(name)
            if found:
                names.append(os.path.join(directory, found))  # noqa: PTH118, a million names
                break
        else:
            missing.append(row)
    if missing:
        shown = [f"{images[row]} in {table.where(row)}" for row in missing]
        raise DataError(
            f"data.path: {table.path} names files that are not in {root}, {len(missing):,} of "
            f"{len(images):,}: {few(shown)}. Correct the rows, or set data.images to the "
            "directory that the paths are relative to."
        )
    return names


def _check_address(table: Table, row: int, address: str) -> None:
    where = f"data.path: {table.where(row)} of {table.path}"
    try:
        path = any_path(address)
    except ValueError as error:
        shown = escape_unprintable(address.partition("?")[0])
        raise DataError(f"{where}: {error}. Received {shown}.") from None
    if isinstance(table.path, RemotePath) and isinstance(path, RemotePath) and path.is_local:
        raise DataError(
            f"{where} names a file of this machine, and the table is not on it. Expected an "
            "address, such as s3://BUCKET/1.jpg, or a path relative to that of the table."
        )


@dataclass(frozen=True)
class _Directory:
    """The names of the files in a directory, and those by their stem that are the only one.

    The names are None if nobody knows them.
    """

    names: frozenset[str] | None
    by_stem: dict[str, str]

    def has(self, name: str) -> bool:
        return self.names is None or name in self.names


def _list_directory(root: AnyPath, path: str, is_fresh: bool) -> _Directory:
    names: frozenset[str] = frozenset()
    if isinstance(root, RemotePath):
        if path.startswith("/") or ".." in posixpath.normpath(path).split("/"):
            return _Directory(names, {})
        if root.is_on_web:  # which lists nothing
            return _Directory(None, {})
        try:
            folder = root / path if path else root
            names = frozenset(folder.file_names(is_fresh=is_fresh))
        except PipelineError as error:
            raise DataError(f"data.path: {error}") from None
    else:
        with contextlib.suppress(OSError, ValueError):  # of a path that is none
            names = frozenset(os.listdir(root / path))  # noqa: PTH208
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        stems[os.path.splitext(name)[0]].append(name)  # noqa: PTH122
    return _Directory(names, {stem: found[0] for stem, found in stems.items() if len(found) == 1})
