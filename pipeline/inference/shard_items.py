"""Reads the items of shards, ahead of what a model predicts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.addresses import is_remote
from pipeline.errors import BadInputError
from pipeline.inference.input_item import InputItem
from pipeline.inference.input_shards import FileShard, ParquetShard, RowShard, Shard, TarShard
from pipeline.inference.read_ahead import read_ahead


def shard_items(shard: Shard, *, takes_numbers: bool) -> Iterator[InputItem]:
    """Yield the items of a shard in their order.

    Args:
        shard: to be read.
        takes_numbers: whether the model takes numbers, not images.

    Raises:
        DataError: if a tar file or a table cannot be read.
    """
    match shard:
        case FileShard():
            for file in shard.files:
                yield _file_item(InputItem(file), file) if is_remote(file) else InputItem(file)
        case TarShard():
            yield from _read_ahead(_tar_contents(shard.file))
        case RowShard():
            for line, values in zip(shard.lines, shard.rows, strict=True):
                item = InputItem(shard.file, line, values=values)
                yield item if takes_numbers else _image_of_row(item, values[0])[0]
        case ParquetShard():
            rows = _parquet_rows(shard)
            yield from rows if takes_numbers else _read_ahead(map(_row_content, rows))


def _read_ahead(contents: Iterator[tuple[InputItem, bytes]]) -> Iterator[InputItem]:
    """Yield items, those without a way to their content with the one beside them."""
    for read in read_ahead(contents):
        if read.name.content is None:
            yield replace(read.name, content=read.take)
        else:
            read.take()
            yield read.name


def _tar_contents(file: str) -> Iterator[tuple[InputItem, bytes]]:
    from pipeline.data.address_files import open_address
    from pipeline.data.tar_images import BadTarError, read_tar_images

    with open_address(file) as opened:
        try:
            for image in read_tar_images(opened):
                failure = partial(_fail, image.error) if image.error else None
                yield InputItem(file, image=image.name, content=failure), image.content
        except BadTarError as error:
            yield InputItem(file, content=partial(_fail, str(error))), b""


def _parquet_rows(shard: ParquetShard) -> Iterator[InputItem]:
    from pipeline.data.parquet_rows import read_parquet_rows

    rows = read_parquet_rows(shard.file, shard.columns, range(*shard.groups))
    for number, values in enumerate(rows, start=shard.first_row):
        yield InputItem(shard.file, number, values=values)


def _row_content(item: InputItem) -> tuple[InputItem, bytes]:
    return _image_of_row(item, item.values[0])


def _image_of_row(item: InputItem, value: Any) -> tuple[InputItem, bytes]:
    """Return the item of a row with an image, and the bytes of the image if they stand in it.

    Args:
        item: with what stands in the row.
        value: the path or the address of an image, its bytes, or both, as the `datasets` of Hugging
            Face have them.
    """
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
    return _file_item(item, item.image), b""


def _file_item(item: InputItem, name: str) -> InputItem:
    """Return an item with the way to the content of a file.

    Args:
        item: without it.
        name: its address, or its path from the directory of the table.
    """
    from pipeline.data.address_files import read_address
    from pipeline.data.image_decoding import read_image_file

    if is_remote(name):
        return replace(item, content=partial(read_address, name))
    folder = os.path.dirname(item.file)  # noqa: PTH120, it may be an address
    if not is_remote(item.file):
        return replace(item, content=partial(read_image_file, os.path.join(folder, name)))  # noqa: PTH118
    if name.startswith("/"):
        reason = "a table that is not on this machine names a file of this machine"
        return replace(item, content=partial(_fail, reason))
    return replace(item, content=partial(read_address, f"{folder}/{name}"))


def _fail(reason: str) -> bytes:
    raise BadInputError(reason)
