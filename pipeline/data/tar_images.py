"""Reads the images in a tar file, one after another: nothing is extracted, links are not followed.

The members are those of WebDataset's layout or any other. Only headers and images are in memory, so
that no tar file takes more of it than its largest image: https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from pipeline.data.file_walk import is_hidden
from pipeline.data.image_decoding import MAX_BYTES
from pipeline.data.image_formats import SIGNATURE_BYTES, SUFFIXES, image_format
from pipeline.errors import BadInputError

_GZIP = b"\x1f\x8b"
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_BLOCK = 512  # bytes; headers and contents fill whole ones
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
_MAX_MEMBER = 2**50  # bytes, more than any disk has
_MAX_HEADER = 2**20  # bytes of a long name, or of extended headers
_CHUNK = 2**20
# A compressed file that exceeds both is refused: zeros take a thousandth of their size, images do
# not.
_MAX_RATIO = 100
_MAX_UNCHECKED = 2**30


class BadTarError(BadInputError):
    """A tar file cannot be read to its end; the message is the reason."""


@dataclass(frozen=True)
class TarImage:
    """An image in a tar file.

    Attributes:
        name: of the member.
        content: the encoded image; empty if it cannot be read.
        error: why it cannot be read, otherwise empty.
    """

    name: str
    content: bytes
    error: str = ""


def read_tar_images(file: IO[bytes]) -> Iterator[TarImage]:
    """Yield the images in a tar file, in their order.

    A member is an image by its suffix or its content. Others, and hidden ones, are skipped.

    Args:
        file: the tar file, compressed with gzip or not.

    Raises:
        BadTarError: if it is damaged, is no tar file, or decompresses to far more than its size.
        OSError: if it cannot be read.
    """
    members = _Members(file)
    while (member := members.next()) is not None:
        if any(is_hidden(part) for part in PurePosixPath(member.name).parts):
            continue
        is_named = PurePosixPath(member.name).suffix.lower() in SUFFIXES
        if not member.isreg():
            if is_named and not member.isdir():
                yield TarImage(member.name, b"", "not a regular file, but a link or a device")
            continue
        start = members.read(min(member.size, SIGNATURE_BYTES))
        if not is_named and image_format(start) is None:
            continue
        if member.size > MAX_BYTES:
            yield TarImage(member.name, b"", f"larger than {MAX_BYTES:,} bytes")
        else:
            yield TarImage(member.name, start + members.read(member.size - len(start)))


class _Members:
    """The headers of the members, and the contents of the one whose header was read last."""

    def __init__(self, file: IO[bytes]) -> None:
        start = file.read(len(_GZIP))
        file.seek(0)
        self._compressed = file if start == _GZIP else None
        self._file: Any = gzip.GzipFile(fileobj=file) if self._compressed else file
        self._position = 0
        self._next = 0  # where the next header begins

    def next(self) -> tarfile.TarInfo | None:
        """Return the next member, with its whole name; None at the end."""
        name, size = "", None
        while True:
            self._skip_to(self._next)
            block = self._read(_BLOCK)
            if not block.strip(b"\0"):  # the end, or one that was left out
                if not self._position:
                    raise BadTarError("the file is empty")
                return None
            header = self._header(block)
            if header.type in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
                content = self._extension(header.size)
                if header.type == _LONG_NAME:
                    name = content.partition(b"\0")[0].decode("utf-8", "surrogateescape")
                elif header.type == _PAX:
                    name, size = _pax_name_and_size(content, name, size)
                continue
            header.name = name or header.name
            header.size = header.size if size is None else size
            if not 0 <= header.size <= _MAX_MEMBER:
                raise BadTarError("damaged: the size of a member is not valid")
            if header.type not in _WITHOUT_CONTENT:
                self._next = self._position + _padded(header.size)
            return header

    def read(self, size: int) -> bytes:
        """Return the next bytes of a member."""
        data = self._read(size)
        if len(data) < size:
            raise BadTarError("damaged: it ends in the middle of a member")
        return data

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            is_first = self._position == len(block)
            raise BadTarError(
                "not a tar file" if is_first else "damaged: the header of a member is not valid"
            ) from None
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise BadTarError("it has a sparse member. Pack the files without sparse ones")
        self._next = self._position
        return header

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise BadTarError(f"damaged: a header has {size:,} bytes; {_MAX_HEADER:,} are allowed")
        self._next = self._position + _padded(size)
        return self.read(size)

    def _skip_to(self, position: int) -> None:
        """Skip what is left of a member, and read its last byte, which may be missing."""
        while self._position < position:
            missing = position - self._position
            if self._compressed is None and missing > 1:
                self._file.seek(missing - 1, 1)
                self._position += missing - 1
            self.read(min(position - self._position, _CHUNK))

    def _read(self, size: int) -> bytes:
        parts = []
        while size and (part := self._read_part(min(size, _CHUNK))):
            parts.append(part)
            size -= len(part)
            self._position += len(part)
        return b"".join(parts)

    def _read_part(self, size: int) -> bytes:
        try:
            part: bytes = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadTarError(f"damaged: {error}") from None
        if (
            self._compressed
            and self._position > _MAX_UNCHECKED
            and self._position > _MAX_RATIO * self._compressed.tell()
        ):
            raise BadTarError(f"it decompresses to more than {_MAX_RATIO} times its size")
        return part


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax_name_and_size(content: bytes, name: str, size: int | None) -> tuple[str, int | None]:
    """Return the name and the size that extended headers give a member.

    Their records are `LENGTH KEY=VALUE` with a line break, and LENGTH is that of the record.
    """
    try:
        while content:
            length = int(content.partition(b" ")[0])
            record, content = content[:length], content[length:]
            key, _, value = record.partition(b" ")[2].removesuffix(b"\n").partition(b"=")
            if length <= 0 or key.startswith(b"GNU.sparse"):
                raise ValueError
            if key == b"path":
                name = value.decode("utf-8", "surrogateescape")
            elif key == b"size":
                size = int(value)
    except ValueError:
        raise BadTarError("damaged: the extended header of a member is not valid") from None
    return name, size
