"""What happens between the epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from pipeline.errors import DivergedError
from pipeline.training import model_state

EpochMetrics = dict[str, float]

# What Keras's callbacks count, each of those that has it. They forget it when a fit begins.
_COUNTERS = (
    "best",
    "best_epoch",
    "cooldown_counter",
    "stopped_epoch",
    "wait",
    "_ema_weights_in_model",
)


class BestEpoch(keras.callbacks.Callback):
    """Keep the weights of the epoch with the best value of a monitored metric.

    It may be given to the `fit` of one model after another that share weights, if `follow` comes
    before each; the best epoch of all of them is kept.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.value = math.nan
        self.epoch = 0
        self.weights: Sequence[np.ndarray] = ()
        self._variables: Sequence[Any] = ()

    def follow(self, model: keras.Model) -> None:
        """Keep the weights of another model from now on; it has the best ones at this time."""
        self._variables = model_state.weights(model)
        self.weights = model_state.values(self._variables)

    def recall(self, epoch: int, value: float, weights: Sequence[np.ndarray]) -> None:
        """Take over what was the best so far before an interruption."""
        self.epoch, self.value, self.weights = epoch, value, weights

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        value = (logs or {})[self.monitor]
        if not math.isfinite(value):
            raise DivergedError(
                f"{self.monitor} became {value} in epoch {epoch + 1}, although the training loss "
                "did not. Lower optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
            )
        if not self.epoch or self._is_better(value):
            self.value, self.epoch = float(value), epoch + 1
            self.weights = model_state.values(self._variables)

    def restore(self) -> None:
        """Give the weights of the best epoch back to the model."""
        model_state.assign(self._variables, self.weights)

    def _is_better(self, value: float) -> bool:
        return value > self.value if self.monitor.endswith("accuracy") else value < self.value


class StopOnNaN(keras.callbacks.Callback):
    """End the training with an error when the loss is no longer a number."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: EpochMetrics | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss became {loss} in epoch {self._epoch}. The usual causes: the learning "
                "rate is too high (try a tenth of optimizer.learning_rate, or a warmup), gradients "
                "explode (set optimizer.global_clipnorm: 1.0), or mixed_float16 overflows (set "
                "runtime.precision: float32)."
            )


class OnEpochEnd(keras.callbacks.Callback):
    """Hand each epoch to a function of (epoch, metrics, seconds), epochs counted from 1."""

    def __init__(self, function: Callable[[int, EpochMetrics, float], None]) -> None:
        super().__init__()
        self._function = function
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        seconds = time.perf_counter() - self._started
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self._function(epoch + 1, metrics, seconds)


class StopOnSignal(keras.callbacks.Callback):
    """End the training after the step in which it was asked for."""

    def __init__(self, is_asked_for: Callable[[], bool]) -> None:
        super().__init__()
        self._is_asked_for = is_asked_for

    def on_train_batch_end(self, batch: int, logs: EpochMetrics | None = None) -> None:
        if self._is_asked_for():
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch: int, logs: EpochMetrics | None = None) -> None:
        self.on_train_batch_end(batch)

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        self.on_train_batch_end(epoch)


class RestoreState(keras.callbacks.Callback):
    """Give callbacks their counters back when a training that was interrupted goes on.

    It comes after them: they forget their counters when a fit begins.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], counters: Sequence[dict[str, Any]]
    ) -> None:
        super().__init__()
        self._callbacks, self._counters = callbacks, counters

    def on_train_begin(self, logs: EpochMetrics | None = None) -> None:
        for callback, counters in zip(self._callbacks, self._counters, strict=True):
            vars(callback).update(counters)


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback of Keras counts, as JSON can hold it."""
    return {name: value for name, value in vars(callback).items() if name in _COUNTERS}
