"""Conversion of a mixed-precision model to float32, for runtimes that support nothing else."""

from __future__ import annotations

from typing import Any

import keras


def clone_in_float32(model: keras.Model) -> keras.Model:
    """Return a float32 model with the same weights, or the model itself if it is one."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def to_float32(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=to_float32, recursive=True)
    clone.set_weights(model.get_weights())
    return clone
