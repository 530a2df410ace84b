"""Reads the items of shards, ahead of what a model predicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pipeline.addresses import protocol_of
from pipeline.data.remote_path import AnyPath, RemotePath, any_path
from pipeline.errors import BadInputError
from pipeline.inference.input_item import InputItem
from pipeline.inference.input_shards import FileShard, ParquetShard, RowShard, Shard, TarShard
from pipeline.inference.read_ahead import read_ahead

Contents = Iterator[tuple[InputItem, bytes]]  # items, and what some of them are read of


def shard_items(shard: Shard, *, takes_numbers: bool) -> Iterator[InputItem]:
    """Yield the items of a shard in their order.

    Args:
        shard: to be read.
        takes_numbers: whether the model takes numbers, not images.

    Raises:
        DataError: if a tar file, a table or a remote file cannot be read.
    """
    match shard:
        case FileShard():
            if any(isinstance(file, RemotePath) for file in shard.files):
                yield from _read_ahead(_downloaded(_file_contents(shard)))
            else:
                yield from (InputItem(str(file)) for file in shard.files)
        case TarShard():
            yield from _read_ahead(_tar_contents(shard.file))
        case RowShard() | ParquetShard():
            rows = _rows(shard) if isinstance(shard, RowShard) else _parquet_rows(shard)
            if takes_numbers:
                yield from rows
            else:
                yield from _read_ahead(_downloaded(map(partial(_row_content, shard.file), rows)))


@dataclass(frozen=True)
class _FileContent:
    """Returns the content of an image file."""

    path: AnyPath

    def __call__(self) -> bytes:
        from pipeline.data.file_root import read_any_file

        return read_any_file(self.path, cache_bytes=0)  # each is read once


def _read_ahead(contents: Contents) -> Iterator[InputItem]:
    """Yield items, those without a way to their content with the one beside them."""
    for read in read_ahead(contents):
        if read.name.content is None:
            yield replace(read.name, content=read.take)
        else:
            read.take()
            yield read.name


def _downloaded(contents: Contents) -> Contents:
    """Yield contents, those of remote files downloaded, several at a time."""
    from pipeline.data.remote_files import THREADS

    pending: deque[tuple[InputItem, bytes | Future[bytes]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="download") as threads:
        for item, content in contents:
            way = item.content
            is_remote = isinstance(way, _FileContent) and isinstance(way.path, RemotePath)
            pending.append((item, threads.submit(way) if way and is_remote else content))
            if len(pending) > THREADS:
                yield _result(*pending.popleft())
        while pending:
            yield _result(*pending.popleft())


def _result(item: InputItem, content: bytes | Future[bytes]) -> tuple[InputItem, bytes]:
    if isinstance(content, bytes):
        return item, content
    try:
        return replace(item, content=None), content.result()
    except BadInputError as error:
        return replace(item, content=partial(_fail, str(error))), b""


def _file_contents(shard: FileShard) -> Contents:
    for file in shard.files:
        yield InputItem(str(file), content=_FileContent(file)), b""


def _tar_contents(file: AnyPath) -> Contents:
    from pipeline.data.address_files import opened_file
    from pipeline.data.tar_images import BadTarError, read_tar_images

    with opened_file(file) as opened:
        try:
            for image in read_tar_images(opened):
                failure = partial(_fail, image.error) if image.error else None
                yield InputItem(str(file), image=image.name, content=failure), image.content
        except BadTarError as error:
            yield InputItem(str(file), content=partial(_fail, str(error))), b""


def _rows(shard: RowShard) -> Iterator[InputItem]:
    for line, values in zip(shard.lines, shard.rows, strict=True):
        yield InputItem(str(shard.file), line, values=values)


def _parquet_rows(shard: ParquetShard) -> Iterator[InputItem]:
    from pipeline.data.parquet_rows import read_parquet_rows

    rows = read_parquet_rows(shard.file, shard.columns, range(*shard.groups))
    for number, values in enumerate(rows, start=shard.first_row):
        yield InputItem(str(shard.file), number, values=values)


def _row_content(table: AnyPath, item: InputItem) -> tuple[InputItem, bytes]:
    """Return the item of a row with an image, and the bytes of the image if they stand in it.

    Args:
        table: the table.
        item: with what stands in the row: the path or the address of an image, its bytes, or both,
            as the `datasets` of Hugging Face have them.
    """
    (value,) = item.values
    name, content = value, None
    if isinstance(value, dict):
        name, content = value.get("path"), value.get("bytes")
    elif isinstance(value, bytes):
        name, content = None, value
    item = replace(item, image=name if isinstance(name, str) else None, values=())
    if isinstance(content, bytes):
        return item, content
    if not item.image:
        return replace(item, content=partial(_fail, "the row has no image")), b""
    try:
        return replace(item, content=_FileContent(_path_in(table, item.image))), b""
    except ValueError as error:
        return replace(item, content=partial(_fail, str(error))), b""


def _path_in(table: AnyPath, name: str) -> AnyPath:
    """Return the path of a file that a table names.

    Raises:
        ValueError: if the table may not name it, or it is no address that can be used.
    """
    if protocol_of(name):
        path = any_path(name)
    elif isinstance(table, RemotePath) and (name.startswith("/") or ".." in name.split("/")):
        raise ValueError("expected an address, or a path below that of the table")
    else:
        path = table.parent / name
    if isinstance(table, RemotePath) and isinstance(path, RemotePath) and path.is_local:
        raise ValueError("a table of another machine names a file of this one")
    return path


def _fail(reason: str) -> bytes:
    raise BadInputError(reason)
