"""The epochs of a training, each reported once its checkpoint is saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from pipeline.training import model_state
from pipeline.training.callbacks import BestEpoch, EpochMetrics, callback_state
from pipeline.training.checkpoints import BudgetState, Checkpoint, Checkpoints
from pipeline.training.time_budget import PhaseBudget
from pipeline.training.training_config import TrainingConfig


class EpochLog(keras.callbacks.Callback):
    """The epochs so far. Each is reported to `on_epoch` once its checkpoint is saved."""

    def __init__(
        self,
        best: BestEpoch,
        checkpoints: Checkpoints | None,
        on_epoch: Callable[[int, EpochMetrics, float], None],
        observe: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._observe = observe
        self.best = best
        self.rows: list[EpochMetrics] = []
        self.starts: list[int] = []
        self._seconds: list[float] = []
        self._reported = 0
        self._budget: PhaseBudget | None = None
        self.budget = BudgetState()
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch

    def load(self, checkpoint: Checkpoint) -> None:
        """Start with the epochs of a checkpoint."""
        self.rows = list(checkpoint.rows)
        self.starts = list(checkpoint.phases)
        self.budget = checkpoint.budget
        self._seconds = list(checkpoint.seconds)
        self.report()

    def set_phase(
        self,
        variables: Sequence[Any],
        *,
        epochs: int,
        callbacks: Sequence[Any],
        budget: PhaseBudget | None,
    ) -> None:
        """Set the phase that is fitted from now on.

        Args:
            variables: that training changes in its model.
            epochs: their maximal number.
            callbacks: Keras's callbacks in it.
            budget: of its time, if that is limited.
        """
        self._variables, self._epochs = variables, epochs
        self._callbacks, self._budget = callbacks, budget

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        self._started = time.perf_counter()
        self._learning_rate = float(self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        self._seconds.append(time.perf_counter() - self._started)
        metrics = {**(logs or {}), "learning_rate": self._learning_rate}
        self.rows.append({name: float(value) for name, value in metrics.items()})
        self._observe(len(self.rows))
        if self._budget:
            self.budget = self._budget.state(has_ended=self.budget.has_ended)
        if self._checkpoints:
            end = self.starts[-1] + self._epochs
            is_over = self.model.stop_training or len(self.rows) == end
            checkpoint = Checkpoint(
                rows=tuple(self.rows),
                seconds=tuple(self._seconds),
                phases=tuple(self.starts),
                is_phase_over=is_over,
                best_epoch=self.best.epoch,
                callbacks=[callback_state(callback) for callback in self._callbacks],
                model=model_state.values(self._variables),
                optimizer=model_state.values(self.model.optimizer.variables),
                best=self.best.weights,
                budget=self.budget,
            )
            if not self._checkpoints.save(checkpoint, now=is_over):
                return
        self.report()

    def report(self) -> None:
        """Call `on_epoch` for the epochs that were not reported yet."""
        for i in range(self._reported, len(self.rows)):
            self._reported = i + 1
            self._on_epoch(i + 1, self.rows[i], self._seconds[i])

    def describe_budget(self, training: TrainingConfig) -> str:
        """Return how the budget of a training ended it."""
        epochs = training.epochs + (training.fine_tune.epochs if training.fine_tune else 0)
        part = self.budget.part
        cut = "" if part == 1 else f", the last one after {part:.0%} of its steps"
        return (
            f"training.budget: {training.budget} ended training after {len(self.rows)} of {epochs} "
            f"epochs{cut}."
        )
