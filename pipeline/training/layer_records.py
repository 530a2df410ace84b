"""Gradients and dead units of each layer after every epoch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.training.callbacks import EpochMetrics

GRADIENT_NORM, DEAD_UNITS, PARAMETER = "gradient_norm", "dead_units", "parameter"

SURFACE_PARAMETERS = 2  # of a model whose loss is drawn as a surface
_EXAMPLES = 256  # that are measured; the same in each epoch


class ParameterRecorder(keras.callbacks.Callback):
    """Add the trainable numbers of a small model, as an epoch starts with them, to its metrics."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._weights = model.trainable_weights
        self._values: EpochMetrics = {}

    def on_epoch_begin(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        values = np.concatenate([np.ravel(weight) for weight in self._weights])
        self._values = {f"{PARAMETER}/{i}": float(value) for i, value in enumerate(values, start=1)}

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if logs is not None:
            logs.update(self._values)


def parameter_count(model: keras.Model) -> int:
    """Return the number of trainable numbers of a model."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


class LayerRecorder(keras.callbacks.Callback):
    """Add measurements of each layer to the metrics of an epoch.

    `gradient_norm/LAYER` is the norm of the gradient of the layer's weights, `dead_units/LAYER` the
    share of its rectified units (or feature maps) that are 0 for all examples. Layers are numbered
    from the input on. Nothing random is drawn, so that training goes on as without it.

    It must come before the callback that keeps the metrics of an epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Callable[[Any, Any], Any],
        batches: Iterable[tuple[Any, ...]],
        record: Sequence[str],
    ) -> None:
        """Take the examples to measure.

        Args:
            model: that is trained, functional.
            loss: of targets and outputs.
            batches: of inputs and targets; the first of them are taken.
            record: `gradients`, `units` or both.
        """
        super().__init__()
        self._batches = _first(batches)
        leaves = list(_leaves(model))
        learning = [layer for layer in leaves if _has_kernel(layer)]
        rectified = [layer for layer in model.layers if _is_rectified(layer)]
        self._weights = {
            f"{GRADIENT_NORM}/{name}": [weight.value for weight in layer.trainable_weights]
            for name, layer in zip(_names(learning), learning, strict=True)
            if "gradients" in record
        }
        self._units = [f"{DEAD_UNITS}/{name}" for name in _names(rectified) if "units" in record]
        outputs = [layer.output for layer in rectified[: len(self._units)]]
        rectifiers = keras.Model(model.input, outputs) if outputs else None

        @tf.function(reduce_retracing=True)
        def gradients(inputs: Any, targets: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(targets, model(inputs, training=False))
            return tape.gradient(
                value, self._weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )

        @tf.function(reduce_retracing=True)
        def largest(inputs: Any) -> Any:
            activations = rectifiers(inputs, training=False)  # type: ignore[misc]
            return [
                tf.reduce_max(each, axis=range(len(each.shape) - 1))
                for each in tf.nest.flatten(activations)
            ]

        self._gradients, self._largest = gradients, largest

    def on_epoch_end(self, epoch: int, logs: EpochMetrics | None = None) -> None:
        if logs is not None:
            logs.update(self._gradient_norms())
            logs.update(self._dead_units())

    def _gradient_norms(self) -> EpochMetrics:
        if not self._weights:
            return {}
        count = sum(len(batch[1]) for batch in self._batches)
        mean: Any = None
        for inputs, targets, *_ in self._batches:
            share = len(targets) / count
            found = self._gradients(inputs, targets)
            part = tf.nest.map_structure(lambda gradient, share=share: share * gradient, found)
            mean = tf.nest.map_structure(tf.add, mean, part) if mean else part
        return {name: float(tf.linalg.global_norm(parts)) for name, parts in mean.items()}

    def _dead_units(self) -> EpochMetrics:
        if not self._units:
            return {}
        found = [[np.asarray(each) for each in self._largest(batch[0])] for batch in self._batches]
        return {
            name: float(np.mean(np.max([batch[i] for batch in found], axis=0) <= 0))
            for i, name in enumerate(self._units)
        }


def _first(batches: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    taken: list[tuple[Any, ...]] = []
    for batch in batches:
        taken.append(batch)
        if sum(len(each[1]) for each in taken) >= _EXAMPLES:
            break
    return taken


def _leaves(layer: Any) -> Iterator[Any]:
    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from _leaves(inner)
    else:
        yield layer


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.trainable_weights)


def _is_rectified(layer: Any) -> bool:
    is_relu = getattr(layer, "activation", None) is keras.activations.relu
    return is_relu or isinstance(layer, keras.layers.ReLU)


def _names(layers: Sequence[Any]) -> list[str]:
    """Return names that do not depend on what else was built in the process."""
    kinds = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__) for layer in layers]
    return [f"{number:02}_{kind.lower()}" for number, kind in enumerate(kinds, start=1)]
