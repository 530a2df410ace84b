"""A model that was trained in mixed precision, for runtimes that know float32 alone."""

from __future__ import annotations

from typing import Any

import keras


def clone_in_float32(model: keras.Model) -> keras.Model:
    """Return a model of the same weights that computes in float32; the model itself if it does."""
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def exact(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=exact, recursive=True)
    clone.set_weights(model.get_weights())
    return clone
