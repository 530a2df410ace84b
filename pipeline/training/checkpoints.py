"""Checkpoints: the state of a training after an epoch, from which it can resume.

A checkpoint is one .npz file with its SHA-256 in its name. It is written atomically, and the one
before it is kept in case it is corrupt.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic_files import atomic_write

logger = logging.getLogger(__name__)

_MAX_TIME_FRACTION = 0.02  # of the training that may be spent on writing checkpoints
_MAX_FILES = 2


@dataclass(frozen=True)
class BudgetState:
    """The state of a training that has a time budget.

    Attributes:
        used: seconds of the budget.
        deadline: of the phase, in the same seconds.
        position: of the learning rate schedule of the phase, in steps of the schedule.
        speed: of the schedule: its steps in each training step.
        has_ended: whether the time was too short for all epochs of a phase.
        part: the share of the last epoch's steps that were trained.
    """

    used: float = 0.0
    deadline: float = 0.0
    position: float = 0.0
    speed: float = 1.0
    has_ended: bool = False
    part: float = 1.0


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an epoch.

    Attributes:
        rows: the metrics of each epoch so far.
        seconds: the duration of each epoch so far.
        phases: the number of epochs before each phase so far.
        is_phase_over: whether this epoch was the last of its phase.
        best_epoch: the best epoch so far, or the last one without validation, counted from 1.
        callbacks: the state of Keras's callbacks, in their order.
        model: the values of the variables that training changes in the model of the phase.
        optimizer: the values of the optimizer's variables.
        best: the weights of the best epoch that training changes in the model of the phase.
        budget: of the training's time.
    """

    rows: Sequence[dict[str, float]]
    seconds: Sequence[float]
    phases: Sequence[int]
    is_phase_over: bool
    best_epoch: int
    callbacks: Sequence[dict[str, Any]]
    model: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]
    best: Sequence[np.ndarray]
    budget: BudgetState


_ARRAYS = ("model", "optimizer", "best")


class Checkpoints:
    """The checkpoints of a run, in a directory of their own.

    Writing takes at most 2 % of the time: where epochs are too short for that, the latest
    checkpoint stays in memory until the next write is due, or until `flush`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending: Checkpoint | None = None
        self._lock = threading.Lock()  # another thread may call `flush`
        self._next_write = 0.0
        self._is_failing = False

    def save(self, checkpoint: Checkpoint, *, now: bool) -> bool:
        """Save a checkpoint: on disk if a write is due or `now` is set, else in memory.

        Returns:
            Whether none is pending in memory: it is on disk, or the disk does not accept it.
        """
        self._pending = checkpoint
        is_due = now or time.monotonic() >= self._next_write
        if is_due:
            self.flush()
        return is_due

    def flush(self) -> None:
        """Write the pending checkpoint. If the disk does not accept it, log a warning."""
        with self._lock:
            checkpoint, self._pending = self._pending, None
            if not checkpoint:
                return
            started = time.monotonic()
            try:
                self._write(checkpoint)
            except OSError as error:
                if not self._is_failing:
                    logger.warning(
                        f"A checkpoint could not be written to {self.directory}: "
                        f"{error.strerror or error}. Training continues; if it is interrupted, it "
                        "can resume from the previous checkpoint."
                    )
                self._is_failing = True
            else:
                self._is_failing = False
            now = time.monotonic()
            self._next_write = now + (now - started) / _MAX_TIME_FRACTION

    def latest(self) -> Checkpoint | None:
        """Return the latest checkpoint that is not corrupt, None if there is none."""
        for path in self._files():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == path.name.split(".")[1]:
                return _from_bytes(content)
            logger.warning(f"The checkpoint {path} is corrupt. Falling back to the previous one.")
        return None

    def last_epoch(self) -> int:
        """Return the epoch of the latest checkpoint on disk, 0 if there is none."""
        return max((int(path.name.split(".")[0][6:]) for path in self._files()), default=0)

    def choose_once(self, name: str, choose: Callable[[], str]) -> str:
        """Return a choice that is made once in a training, also if that is interrupted and resumed.

        If the disk does not accept it, log a warning.

        Args:
            name: of the choice, and of the file that keeps it beside the checkpoints.
            choose: returns the choice; called unless it was made before.
        """
        path = self.directory / f"{name}.txt"
        if path.is_file():
            return path.read_text("utf-8")
        chosen = choose()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            atomic_write(path, chosen.encode())
        except OSError as error:
            logger.warning(
                f"{path} could not be written: {error.strerror or error}. Training continues; if "
                f"it is interrupted and resumed, it may choose something else than {chosen}."
            )
        return chosen

    def _write(self, checkpoint: Checkpoint) -> None:
        content = _to_bytes(checkpoint)
        digest = hashlib.sha256(content).hexdigest()
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"epoch-{len(checkpoint.rows):06}.{digest}.npz"
        atomic_write(path, content)
        for old in self._files()[_MAX_FILES:]:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Return the checkpoints on disk, the latest first."""
        return sorted(self.directory.glob("epoch-*.npz"), reverse=True)


def _to_bytes(checkpoint: Checkpoint) -> memoryview:
    metadata = {key: value for key, value in vars(checkpoint).items() if key not in _ARRAYS}
    metadata["budget"] = vars(checkpoint.budget)
    arrays = {
        f"{name}.{i}": array
        for name in _ARRAYS
        for i, array in enumerate(getattr(checkpoint, name))
    }
    file = io.BytesIO()
    np.savez(file, **{"metadata": np.array(json.dumps(metadata)), **arrays})
    return file.getbuffer()


def _from_bytes(content: bytes) -> Checkpoint:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: [] for name in _ARRAYS}
        for key in file.files[1:]:
            arrays[key.partition(".")[0]].append(file[key])
        metadata = json.loads(str(file["metadata"]))
        metadata["budget"] = BudgetState(**metadata["budget"])
        return Checkpoint(**metadata, **arrays)
