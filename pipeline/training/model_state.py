"""The variables that training changes, and their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


def variables(model: keras.Model) -> list[Any]:
    """Return what changes in a model: weights, statistics and the states of random generators."""
    return [variable for layer in _learning(model) for variable in layer.variables]


def weights(model: keras.Model) -> list[Any]:
    """Return what changes in a model and determines what it predicts."""
    return [weight for layer in _learning(model) for weight in layer.weights]


def values(of: Sequence[Any]) -> list[np.ndarray]:
    """Return copies of the values of variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in of]


def assign(to: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Give variables the values that `values` returned of them."""
    for variable, value in zip(to, values, strict=True):
        variable.assign(value)


def _learning(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers that are not frozen, also those of networks inside the model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _learning(layer)
        elif layer.trainable:
            yield layer
