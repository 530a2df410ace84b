"""Workers of tests, which other processes can import."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.cluster.cluster import UnfitMachineError
from pipeline.errors import DataError

logger = logging.getLogger("pipeline.tests")


def make_counter() -> Callable[[int], tuple[int, int, int]]:
    """Return a worker that squares numbers, counts its pieces and tells its process."""
    count = itertools.count(1)
    return lambda piece: (piece**2, next(count), os.getpid())


def make_talker() -> Callable[[str], str]:
    """Return a worker that logs its pieces and tells where it is and how many threads it has."""

    def work(piece: str) -> str:
        logger.warning(f"Doing {piece}")
        return f"{Path.cwd()} {os.environ['OMP_NUM_THREADS']}"

    return work


def make_mortal(directory: Path, deaths: int) -> Callable[[int], int]:
    """Return a worker whose process is killed by the piece 2 so many times."""

    def work(piece: int) -> int:
        died = len(list(directory.iterdir()))
        if piece == 2 and died < deaths:
            (directory / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return piece

    return work


def make_picky() -> Callable[[int], int]:
    """Return a worker that has no use for some pieces."""

    def work(piece: int) -> int:
        if piece == 1:
            raise DataError("Piece 1 is broken. Mend it.")
        return piece

    return work


def make_unfit() -> Callable[[int], int]:
    raise UnfitMachineError("It has no images. Copy them.")


def make_guest() -> Callable[[int], tuple[str, str]]:
    """Return a worker that tells which GPUs and how many threads its process has."""

    def work(piece: int) -> tuple[str, str]:
        time.sleep(0.2)
        return os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.environ["OMP_NUM_THREADS"]

    return work


def make_slow() -> Callable[[int], int]:
    """Return a worker that takes a fifth of a second, long enough to be killed meanwhile."""

    def work(piece: int) -> int:
        time.sleep(0.2)
        return os.getpid()

    return work
