"""Training with many steps in each call of the compiled function, which reads its own batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

# With this many steps per call of the compiled function, its overhead is negligible. More would
# only delay the answer to Ctrl-C.
MAX_STEPS_PER_CALL = 32


@dataclass(frozen=True)
class GraphBatches:
    """Training batches that are read within the compiled function, from what is in memory.

    Attributes:
        chunks: a function of (first epoch, end epoch) that returns what `GraphSteps` is fitted to:
            the draws of several steps, how often each image was drawn before and its index, int64
            (n, 2), the number of the first of these steps, int64, and tables: tensors, in a nested
            structure. As the compiled function does not contain them, a model can be trained on
            others without compiling it again.
        read: returns a batch as `TrainingData.training` does, from its draws, the number of its
            step, and the tables.
        batch_size: images per step; the last step of a chunk may have fewer.
        chunks_per_epoch: their number.
    """

    chunks: Callable[[int, int], tf.data.Dataset]
    read: Callable[[Any, Any, Any], tuple[Any, ...]]
    batch_size: int
    chunks_per_epoch: int


class GraphSteps(keras.Model):
    """Trains a model with the steps of Keras's `fit`, a chunk of them in each call.

    A small network takes less time for a step than Python does to start one, and to hand it a
    batch.

    Args:
        model: a functional model. Its weights are trained in place.
        batches: what it is trained on.

    Example:

    ```python
    trained = GraphSteps(model, batches)
    trained.compile(optimizer="adam", loss="categorical_crossentropy", jit_compile=False)
    trained.fit(batches.chunks(0, 5), steps_per_epoch=batches.chunks_per_epoch, epochs=5)
    model.save("model.keras")
    ```
    """

    def __init__(self, model: keras.Model, batches: GraphBatches) -> None:
        super().__init__(name=model.name, dtype=model.dtype_policy, autocast=False)
        self._model, self._batches = model, batches
        self.built = True
        reset, results = super().reset_metrics, super().get_metrics_result
        # Between two epochs of a small network, most of the time is that of single operations. A
        # metric has its variables after the first batch, so the functions depend on their number.
        self._reset = tf.function(lambda variables: reset(), autograph=False)
        self._results = tf.function(lambda variables: results(), autograph=False)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the predictions of the model."""
        return self._model(x, training=training)

    def reset_metrics(self) -> None:
        """Reset the metrics, in one call."""
        self._reset(len(self.metrics_variables))

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the values of the metrics, computed in one call."""
        return dict(self._results(len(self.metrics_variables)))

    def train_step(self, data: tuple[Any, Any, Any]) -> dict[str, Any]:
        """Update the weights once for each batch of a chunk, and return the metrics so far."""
        draws, first, tables = data
        size = self._batches.batch_size
        take_step = super().train_step

        def body(start: Any, step: Any) -> tuple[Any, Any]:
            take_step(self._batches.read(draws[start : start + size], step, tables))
            return start + size, step + 1

        tf.while_loop(
            lambda start, step: start < tf.shape(draws)[0],
            body,
            (0, first),
            parallel_iterations=1,
        )
        return dict(super().get_metrics_result())


def steps_per_execution(steps_per_epoch: int) -> int:
    """Return the number of training steps per call of Keras's own compiled function.

    It is a divisor of `steps_per_epoch`, because Keras never shortens the last call of an epoch.
    """
    limit = min(MAX_STEPS_PER_CALL, steps_per_epoch)
    return next(count for count in range(limit, 0, -1) if steps_per_epoch % count == 0)
