"""Cache downloaded files on disk, each as a whole, in a limited number of bytes.

Threads and processes share it. A file appears in it under its final name when all of it is there,
and has a checksum: what a power failure left of one is downloaded again. Above the limit, the least
recently used files are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.array_cache import cache_directory
from pipeline.errors import PipelineError
from pipeline.file_locks import file_lock

_DIRECTORY = "downloads"
_TOTAL = "total"  # bytes of all files
_LOCK = ".lock"
_CHECKSUM_BYTES = 4
_ABANDONED_SECONDS = 3600  # what is not whole after this time was left by a killed process
_KEPT = 0.9  # of the limit, when files are removed: the next few need no look at all files


@dataclass(frozen=True)
class DownloadCache:
    """The downloaded files of this machine. It can be sent to other processes and machines.

    Attributes:
        limit: bytes that the files may take together.
    """

    limit: int

    def read(self, key: str) -> bytes | None:
        """Return a file; None if it is absent or damaged.

        Args:
            key: any text that tells the file and its version.
        """
        path = _path(key)
        try:
            stored = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        content, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
        if checksum == _checksum(content):
            return content
        path.unlink(missing_ok=True)
        return None

    def write(self, key: str, content: bytes) -> None:
        """Add a file, and remove the least recently used ones above the limit.

        A file that is larger than the limit is not added.

        Raises:
            PipelineError: if the cache directory is not writable, or its disk is full.
        """
        size = len(content) + _CHECKSUM_BYTES
        if size > self.limit:
            return
        path = _path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.write(_checksum(content))
                with file_lock(_directory() / _LOCK):
                    total = _read_total() + (0 if path.exists() else size)
                    Path(scratch).replace(path)
                    _write_total(_prune(int(self.limit * _KEPT)) if total > self.limit else total)
            except BaseException:
                Path(scratch).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise PipelineError(
                f"Cannot write to the cache {_directory()}: {error.strerror}. Free disk space "
                "(pipeline cache --clear), lower data.cache_gb, or set PIPELINE_CACHE to another "
                "directory."
            ) from None


@dataclass(frozen=True, order=True)
class _StoredFile:
    """A file, by when it was last used, in nanoseconds since 1970; its bytes and its path."""

    used: int
    size: int
    path: str


def downloaded_files() -> tuple[int, int]:
    """Return the number of downloaded files, and their bytes."""
    sizes = [file.size for file in _files()]
    return len(sizes), sum(sizes)


def clear_downloads() -> int:
    """Remove all downloaded files; return the bytes freed."""
    if not _directory().is_dir():
        return 0
    with file_lock(_directory() / _LOCK):
        before = downloaded_files()[1]
        _write_total(_prune(0))
    return before - downloaded_files()[1]


def _directory() -> Path:
    return cache_directory() / _DIRECTORY


def _path(key: str) -> Path:
    """Return where a file is. Its name is a digest, so that no key is outside the directory."""
    name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return _directory() / name[:2] / name


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


def _files() -> list[_StoredFile]:
    """Return the files, but not those that are being written."""
    if not _directory().is_dir():
        return []
    with os.scandir(_directory()) as directories:
        names = [each.path for each in directories if len(each.name) == 2 and each.is_dir()]
    found = []
    for name in names:
        with os.scandir(name) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # another process may remove it
                    status = entry.stat()
                    is_whole = not entry.name.startswith(".")
                    if is_whole or status.st_mtime < time.time() - _ABANDONED_SECONDS:
                        found.append(_StoredFile(status.st_mtime_ns, status.st_size, entry.path))
    return found


def _read_total() -> int:
    """Return the bytes of all files, which are counted if that is not written down."""
    try:
        return int((_directory() / _TOTAL).read_text("ascii"))
    except (OSError, ValueError):
        return downloaded_files()[1]


def _write_total(total: int) -> None:
    (_directory() / _TOTAL).write_text(str(total), "ascii")


def _prune(limit: int) -> int:
    """Remove the least recently used files above a limit of bytes; return the bytes that remain."""
    found = _files()
    total = sum(file.size for file in found)
    for file in sorted(found):
        if total <= limit:
            break
        Path(file.path).unlink(missing_ok=True)
        total -= file.size
    return total
