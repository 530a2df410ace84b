"""One process at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in here for each file; where there is no flock, let all in.

    Args:
        path: a file for the lock alone; its folder has to exist.
    """
    if os.name == "nt":
        yield
        return
    import fcntl

    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
