"""Training as it was after an epoch, kept on disk so that it can go on from there.

A checkpoint is one .npz file that appears whole or not at all, with its SHA-256 in its name; the
one before it stays until the next one is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic_files import atomic_write

logger = logging.getLogger(__name__)


_SHARE = 0.02  # of the time of training may go into writing checkpoints
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Training as it was after an epoch.

    Attributes:
        rows: the metrics of each epoch so far.
        seconds: the time of each epoch so far.
        phases: the number of epochs before each phase so far.
        is_phase_over: whether the last of these phases ended with this epoch.
        best_epoch: the best epoch so far, counted from 1.
        best_value: what it was best at.
        callbacks: the counters of Keras's callbacks, in their order.
        model: the values of what changes in the model of that phase.
        optimizer: the values of the optimizer's variables.
        best: the weights of the best epoch, of what changes in the model of that phase.
    """

    rows: Sequence[dict[str, float]]
    seconds: Sequence[float]
    phases: Sequence[int]
    is_phase_over: bool
    best_epoch: int
    best_value: float
    callbacks: Sequence[dict[str, Any]]
    model: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    best: Sequence[np.ndarray]


_ARRAYS = ("model", "optimizer", "best")


class Checkpoints:
    """The checkpoints of a run, in a folder of their own.

    Writing never takes more than a small share of the time: where epochs are shorter than that, the
    newest checkpoint waits in memory for the next one that is due, or for `flush`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting: Checkpoint | None = None
        self._lock = threading.Lock()  # `flush` may come from another thread
        self._next = 0.0
        self._is_failing = False

    def keep(self, checkpoint: Checkpoint, *, now: bool) -> bool:
        """Keep a checkpoint, on disk if that is due or asked for.

        Returns:
            Whether nothing waits in memory: it is on disk, or the disk does not take it.
        """
        self._waiting = checkpoint
        if now or time.monotonic() >= self._next:
            self.flush()
            return True
        return False

    def flush(self) -> None:
        """Write what waits in memory. A disk that does not take it does not end the training."""
        with self._lock:
            checkpoint, self._waiting = self._waiting, None
            if not checkpoint:
                return
            started = time.monotonic()
            try:
                self._write(checkpoint)
            except OSError as error:
                if not self._is_failing:
                    logger.warning(
                        f"no checkpoint can be written to {self.folder}: "
                        f"{error.strerror or error}. Training goes on; if it is interrupted, it "
                        "goes on from the one before."
                    )
                self._is_failing = True
            else:
                self._is_failing = False
            now = time.monotonic()
            self._next = now + (now - started) / _SHARE

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, None where there is none."""
        for path in self._files():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == path.name.split(".")[1]:
                return _from_bytes(content)
            logger.warning(f"the checkpoint {path} is damaged and not used; the one before it is.")
        return None

    def last_epoch(self) -> int:
        """Return the number of the newest checkpoint's epoch, 0 where there is none."""
        return max((int(path.name.split(".")[0][6:]) for path in self._files()), default=0)

    def _write(self, checkpoint: Checkpoint) -> None:
        content = _to_bytes(checkpoint)
        digest = hashlib.sha256(content).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"epoch-{len(checkpoint.rows):06}.{digest}.npz"
        atomic_write(path, content)
        for old in self._files()[_KEPT:]:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Return the checkpoints on disk, the newest first."""
        return sorted(self.folder.glob("epoch-*.npz"), reverse=True)


def _to_bytes(checkpoint: Checkpoint) -> memoryview:
    rest = {key: value for key, value in vars(checkpoint).items() if key not in _ARRAYS}
    arrays = {
        f"{name}.{i}": array
        for name in _ARRAYS
        for i, array in enumerate(getattr(checkpoint, name))
    }
    file = io.BytesIO()
    np.savez(file, **{"rest": np.array(json.dumps(rest)), **arrays})
    return file.getbuffer()


def _from_bytes(content: bytes) -> Checkpoint:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: [] for name in _ARRAYS}
        for key in file.files[1:]:
            arrays[key.partition(".")[0]].append(file[key])
        return Checkpoint(**json.loads(str(file["rest"])), **arrays)
