"""Opens files of this machine and others that are read from their beginning to their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO

from pipeline.data.remote_path import AnyPath, RemotePath
from pipeline.errors import BadInputError, DataError, PipelineError, first_line
from pipeline.storage import file_system

_BLOCK_BYTES = 8 * 2**20  # that are read at once from a remote file


@contextlib.contextmanager
def opened_file(path: AnyPath) -> Iterator[IO[bytes]]:
    """Open a file for the block, which reads it.

    Raises:
        DataError: if the file cannot be opened, or anything else fails than what is in it.
    """
    try:
        with _open(path) as file:
            yield file
    except (PipelineError, BadInputError):
        raise
    except Exception as error:  # each file system has errors of its own
        reason = getattr(error, "strerror", None) or first_line(error) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}.") from None


def _open(path: AnyPath) -> IO[bytes]:
    if isinstance(path, RemotePath):
        system, place = file_system(path.url)
        opened: IO[bytes] = system.open(
            place, "rb", block_size=_BLOCK_BYTES, cache_type="readahead"
        )
        return opened
    if path.exists() and not path.is_file():  # a pipe may never end
        raise DataError(f"{path} is not a regular file.")
    return path.open("rb")
