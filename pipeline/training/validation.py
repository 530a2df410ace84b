"""Evaluates a model on the validation images, in one pass for all metrics."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.training import model_state

_TIMED = 4  # batches, after the one that compiles


class Validation:
    """Computes Keras's metrics and the outputs of a model in the same pass.

    `Model.evaluate` keeps no outputs, so metrics that need all of them would take a second pass.
    """

    def __init__(self, model: keras.Model) -> None:
        """Keep a compiled model.

        Args:
            model: whose metrics exist, because it was trained for a step.
        """
        self._model = model
        self._compiled: Any = None

    def run(
        self, batches: Iterable[tuple[Any, ...]], check: Callable[[], None]
    ) -> tuple[dict[str, float], np.ndarray]:
        """Return the metrics that `Model.evaluate` does, and the outputs, float32 (n, …).

        Args:
            batches: of one pass over the images: what the model takes, and its targets.
            check: called after each batch; what it raises ends the pass.
        """
        self._model.reset_metrics()
        metrics: dict[str, Any] = {}
        arrays = []
        for x, y in batches:
            metrics, outputs = self._take_step(x, y)
            arrays.append(outputs.numpy())
            check()
        return {name: float(value) for name, value in metrics.items()}, np.concatenate(arrays)

    def expected_seconds(self, batches: Any) -> float:
        """Return about how long `run` takes, by its first batches.

        It compiles what `run` calls, and leaves the metrics as they are.

        Args:
            batches: as for `run`, with a length; None for none.
        """
        if batches is None:
            return 0.0
        variables = self._model.metrics_variables
        values = model_state.values(variables)
        timed, started, seconds = 0, 0.0, 0.0
        taken = [*batches] * 2 if len(batches) == 1 else batches  # the only one again, to be timed
        for number, (x, y) in enumerate(itertools.islice(taken, 1 + _TIMED)):
            _, outputs = self._take_step(x, y)
            outputs.numpy()
            if number == 0:
                started = time.monotonic()
            timed, seconds = number, time.monotonic() - started
        model_state.assign(variables, values)
        return seconds * len(batches) / timed

    def _take_step(self, x: Any, y: Any) -> tuple[dict[str, Any], Any]:
        """Call `_step`, compiled for batches of any size: the last one is smaller."""
        if self._compiled is None:
            signature = tf.nest.map_structure(
                lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), (x, y)
            )
            self._compiled = tf.function(
                self._step, input_signature=signature, jit_compile=False, autograph=False
            )
        result: tuple[dict[str, Any], Any] = self._compiled(x, y)
        return result

    def _step(self, x: Any, y: Any) -> tuple[dict[str, Any], Any]:
        """Update the metrics by a batch, as `Model.test_step` does.

        Returns:
            The metrics of the batches so far, and the outputs of this one.
        """
        model = self._model
        outputs = model(x, training=False)
        loss = model.compute_loss(x=x, y=y, y_pred=outputs, training=False)
        mean_loss = next(metric for metric in model.metrics if metric.name == "loss")
        mean_loss.update_state(loss, sample_weight=tf.shape(outputs)[0])
        return dict(model.compute_metrics(x, y, outputs)), tf.cast(outputs, tf.float32)
