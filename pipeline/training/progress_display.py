"""The progress of a training: a live line in a terminal, else one plain line per epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pipeline.training.callbacks import BestEpoch, EpochMetrics


class ProgressDisplay(keras.callbacks.Callback):
    """Show the epoch, the metrics, the best epoch and the time left, on standard error."""

    def __init__(self, best: BestEpoch, *, first_epoch: int, last_epoch: int) -> None:
        super().__init__()
        self._best = best
        self._first, self._last = first_epoch, last_epoch
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: Any = None
        self._started = 0.0

    def on_train_begin(self, logs: EpochMetrics | None = None) -> None:
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(24),
                TextColumn("{task.fields[note]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=None, note="")
            self._bar.start()

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if self._bar:
            self._bar.reset(
                self._task,
                total=self.params.get("steps"),
                description=f"epoch {epoch + 1}/{self._last}",
            )

    def on_train_batch_end(self, batch: int, logs: EpochMetrics | None = None) -> None:
        if self._bar:
            values = logs or {}
            note = f"loss {values.get('loss', 0):.4f}  accuracy {values.get('accuracy', 0):.4f}"
            self._bar.update(self._task, completed=batch + 1, note=f"{note}  {self._best_epoch()}")

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        completed = epoch + 1 - self._first
        left = (time.monotonic() - self._started) / completed * (self._last - epoch - 1)
        values = logs or {}
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        metrics = "  ".join(f"{name} {values[name]:.4f}" for name in names if name in values)
        number = f"epoch {epoch + 1}/{self._last}"
        line = f"{number}  {metrics}  {self._best_epoch()}  {_duration(left)} left"
        if self._bar:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the live line. Call it however the training ended."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _best_epoch(self) -> str:
        best = self._best
        return f"best {best.monitor} {best.value:.4f} (epoch {best.epoch})" if best.epoch else ""


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
