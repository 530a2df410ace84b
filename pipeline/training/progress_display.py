"""Shows the progress of training: a progress bar in a terminal, and a line for each epoch."""

from __future__ import annotations

import logging
import time
from typing import Any

import keras
from rich.progress import Progress

from pipeline.progress_bar import format_duration, start_progress_bar
from pipeline.training.callbacks import BestEpoch, EpochMetrics
from pipeline.training.time_budget import TimeBudget

logger = logging.getLogger(__name__)


class ProgressDisplay(keras.callbacks.Callback):
    """Show the epoch, its metrics, the best epoch so far, if one is chosen, and the time left."""

    def __init__(
        self,
        best: BestEpoch,
        metric: str,
        *,
        first_epoch: int,
        last_epoch: int,
        budget: TimeBudget | None = None,
    ) -> None:
        """Begin a phase.

        Args:
            best: the best epoch so far.
            metric: the name of the metric to show beside the loss.
            first_epoch: counted from 0.
            last_epoch: the epoch to end before.
            budget: the time that training may take, if it is limited.
        """
        super().__init__()
        self._metric = metric
        self._best = best
        self._first, self._last = first_epoch, last_epoch
        self._bar: Progress | None = None
        self._task: Any = None
        self._started = 0.0
        self._budget = budget

    def on_train_begin(self, logs: EpochMetrics | None = None) -> None:
        self._started = time.monotonic()
        self._bar = start_progress_bar("{task.description}")
        if self._bar:
            self._task = self._bar.add_task("", total=None, note="")

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if self._bar:
            self._bar.reset(
                self._task,
                total=self.params.get("steps"),
                description=f"Epoch {epoch + 1}/{self._last}",
            )

    def on_train_batch_end(self, batch: int, logs: EpochMetrics | None = None) -> None:
        if self._bar:
            values = logs or {}
            names = ("loss", self._metric)
            note = "  ".join(f"{name} {values[name]:.4f}" for name in names if name in values)
            self._bar.update(self._task, completed=batch + 1, note=f"{note}{self._best_epoch()}")

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        completed = epoch + 1 - self._first
        left = (time.monotonic() - self._started) / completed * (self._last - epoch - 1)
        if self._budget:
            left = min(left, max(self._budget.left, 0.0))
        values = logs or {}
        names = ("loss", self._metric, "val_log_loss", f"val_{self._metric}")
        metrics = "  ".join(f"{name} {values[name]:.4f}" for name in names if name in values)
        number = f"Epoch {epoch + 1}/{self._last}"
        logger.info(f"{number}  {metrics}{self._best_epoch()}  {format_duration(left)} left")

    def close(self) -> None:
        """Remove the progress bar."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _best_epoch(self) -> str:
        best = self._best
        if not (best.monitor and best.epoch):
            return ""
        return f"  best {best.monitor} {best.value:.4f} (epoch {best.epoch})"
