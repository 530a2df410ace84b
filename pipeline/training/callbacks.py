"""Keras callbacks: the best epoch, divergence, signals, and state that outlives an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from pipeline.errors import DivergedError
from pipeline.metric_direction import is_better, metric_direction
from pipeline.training import model_state

EpochMetrics = dict[str, float]

# The attributes in which Keras's callbacks keep their state. `on_train_begin` resets them.
_STATE_ATTRIBUTES = (
    "best",
    "best_epoch",
    "cooldown_counter",
    "stopped_epoch",
    "wait",
    "_ema_weights_in_model",
)


class BestEpoch(keras.callbacks.Callback):
    """Keep the weights of the epoch with the best value of a monitored metric.

    Of epochs with equal values, the one with the lowest loss is the best. Without a metric to
    monitor, each epoch is better than the one before, so that the weights are the last ones.

    One instance serves the phases of a training, whose models share weights: call `track` before
    each phase, and it keeps the best epoch of all of them.

    Args:
        monitor: the name of the metric.
        loss_metric: the name of the metric that decides between equal values, the lower the better.
    """

    def __init__(self, monitor: str | None, loss_metric: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.value = math.nan
        self._loss_metric = loss_metric
        self._loss = math.nan
        self.epoch = 0
        self.weights: Sequence[np.ndarray] = ()
        self._variables: Sequence[Any] = ()

    def track(self, model: keras.Model) -> None:
        """Keep the weights of this model from now on. It has the best weights so far."""
        self._variables = model_state.weights(model)
        self.weights = model_state.values(self._variables)

    def load(self, epoch: int, metrics: EpochMetrics, weights: Sequence[np.ndarray]) -> None:
        """Set the best epoch, counted from 1, to the one of a checkpoint."""
        self.epoch, self.weights = epoch, weights
        if self.monitor:
            self.value, self._loss = metrics[self.monitor], metrics[self._loss_metric]

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        metrics = logs or {}
        if self.monitor is None:
            self._keep(epoch)
            return
        value, loss = float(metrics[self.monitor]), float(metrics[self._loss_metric])
        if not math.isfinite(value):
            raise DivergedError(
                f"{self.monitor} became {value} in epoch {epoch + 1}, although the training loss "
                "did not. Lower optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
            )
        is_tie = value == self.value and loss < self._loss
        direction = metric_direction(self.monitor)
        if not self.epoch or is_tie or is_better(value, self.value, direction):
            self.value, self._loss = value, loss
            self._keep(epoch)

    def _keep(self, epoch: int) -> None:
        self.epoch = epoch + 1
        self.weights = model_state.values(self._variables)

    def restore_weights(self) -> None:
        """Set the weights of the model to those of the best epoch."""
        model_state.assign(self._variables, self.weights)


class ValidationMetrics(keras.callbacks.Callback):
    """Add the metrics of the validation images to those of an epoch.

    It must come before the callbacks that monitor them.

    Args:
        validate: returns Keras's metrics, without `val_`, and the outputs of the model that is
            trained, (n, units).
        evaluate: returns further metrics of these outputs by name; None if there are none.
    """

    def __init__(
        self,
        validate: Callable[[], tuple[EpochMetrics, np.ndarray]],
        evaluate: Callable[[np.ndarray], EpochMetrics] | None,
    ) -> None:
        super().__init__()
        self._validate, self._evaluate = validate, evaluate

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if logs is not None:
            metrics, outputs = self._validate()
            logs.update({f"val_{name}": value for name, value in metrics.items()})
            logs.update(self._evaluate(outputs) if self._evaluate else {})


class StopOnNaN(keras.callbacks.Callback):
    """End the training with an error when the loss is NaN or infinite.

    Keras's TerminateOnNaN stops without an error.
    """

    _epoch = 0

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


class StopAtZero(keras.callbacks.Callback):
    """End a training after an epoch in which a metric is 0."""

    def __init__(self, metric: str) -> None:
        super().__init__()
        self._metric = metric

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if logs and logs[self._metric] == 0:
            self.model.stop_training = True


def stop_on_signal(check: Callable[[], None]) -> keras.callbacks.Callback:
    """Return a callback that calls a function which raises KeyboardInterrupt after a signal."""

    def call(index: int, logs: EpochMetrics | None = None) -> None:
        check()

    return keras.callbacks.LambdaCallback(on_train_batch_end=call, on_epoch_end=call)


def restore_state(
    callbacks: Sequence[keras.callbacks.Callback], states: Sequence[dict[str, Any]]
) -> keras.callbacks.Callback:
    """Return a callback that restores the state of Keras's callbacks when a training resumes.

    It must come after them, because their `on_train_begin` resets it.
    """

    def restore(logs: EpochMetrics | None = None) -> None:
        for callback, state in zip(callbacks, states, strict=True):
            vars(callback).update(state)

    return keras.callbacks.LambdaCallback(on_train_begin=restore)


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return the state of one of Keras's callbacks as JSON can represent it."""
    return {name: value for name, value in vars(callback).items() if name in _STATE_ATTRIBUTES}
