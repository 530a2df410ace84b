"""Atomic writing of files."""

from __future__ import annotations

import os
from pathlib import Path


def atomic_write(path: Path, content: bytes | memoryview, *, mode: int | None = None) -> None:
    """Write or replace a file atomically: an interruption leaves the old file or none.

    Args:
        path: the file. Only one process at a time may write it.
        content: the complete content.
        mode: who may read and write the file, such as 0o600. Default: as the system has it.

    Raises:
        OSError: if it cannot be written. The old file stays.
    """
    scratch = path.with_name(f".{path.name}.part")
    try:
        if mode is not None:  # before there is anything to read
            scratch.unlink(missing_ok=True)
            scratch.touch(mode, exist_ok=False)
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    fsync(path.parent)  # so that the new name survives a power failure


def fsync(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    if os.name == "nt":  # has no file descriptor of a directory
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
