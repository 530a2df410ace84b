"""The variables that training changes, and their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


def variables(model: keras.Model) -> list[Any]:
    """Return the variables that training changes: weights, statistics and random states."""
    return [variable for layer in _trainable_layers(model) for variable in layer.variables]


def weights(model: keras.Model) -> list[Any]:
    """Return the variables that training changes and predictions depend on."""
    return [weight for layer in _trainable_layers(model) for weight in layer.weights]


def values(of: Sequence[Any]) -> list[np.ndarray]:
    """Return copies of the values of variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in of]


def assign(to: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Set variables to the values that `values` returned for them."""
    for variable, value in zip(to, values, strict=True):
        variable.assign(value)


def _trainable_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers that are not frozen, including those of nested models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trainable_layers(layer)
        elif layer.trainable:
            yield layer
