"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def atomic_write(path: Path, content: bytes | memoryview) -> None:
    """Write a file, or replace it, so that no interruption leaves a part of it in its place.

    Args:
        path: the file; one process at a time may write it.
        content: all of it.

    Raises:
        OSError: if it cannot be written; what was there before stays.
    """
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    fsync(path.parent)  # so that the new name outlives a loss of power


def fsync(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    if os.name == "nt":  # it has no handle of a folder to flush
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
