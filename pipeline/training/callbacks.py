"""What happens between the epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from pipeline.errors import TrainingError

Row = dict[str, float]


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
        self._model: Any = None
        self._weights: list[Any] = []

    def follow(self, model: keras.Model) -> None:
        """Keep the weights of another model from now on; it has the best ones at this time."""
        self._model, self._weights = model, model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Row | None = None) -> None:
        value = (logs or {})[self.monitor]
        if not math.isfinite(value):
            raise TrainingError(
                f"{self.monitor} became {value} in epoch {epoch + 1}, although the training loss "
                "did not. Lower optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
            )
        if not self.epoch or self._is_better(value):
            self.value, self.epoch = float(value), epoch + 1
            self._weights = self._model.get_weights()

    def restore(self) -> None:
        """Give the weights of the best epoch back to the model."""
        self._model.set_weights(self._weights)

    def _is_better(self, value: float) -> bool:
        return value > self.value if self.monitor.endswith("accuracy") else value < self.value


class StopOnNaN(keras.callbacks.Callback):
    """End the training with an error when the loss is no longer a number."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Row | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Row | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} in epoch {self._epoch}. The usual causes: the learning "
                "rate is too high (try a tenth of optimizer.learning_rate, or a warmup), gradients "
                "explode (set optimizer.global_clipnorm: 1.0), or mixed_float16 overflows (set "
                "runtime.precision: float32)."
            )


class EachEpoch(keras.callbacks.Callback):
    """Hand each epoch to a function of (epoch, metrics, seconds), epochs counted from 1."""

    def __init__(self, function: Callable[[int, Row, float], None]) -> None:
        super().__init__()
        self._function = function
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Row | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Row | None = None) -> None:
        seconds = time.perf_counter() - self._started
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self._function(epoch + 1, metrics, seconds)
