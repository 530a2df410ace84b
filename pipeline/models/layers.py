"""Groups of layers that several architectures use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pipeline.config import OutputActivation
from pipeline.models.regularization import RegularizationConfig


def hidden_block(
    x: Any, layer: Callable[..., Any], activation: str, regularization: RegularizationConfig
) -> Any:
    """Apply a layer with weights, batch normalization if configured, and an activation.

    Args:
        x: the input tensor.
        layer: keras.layers.Dense or Conv2D, with its own arguments such as units and name bound
            by `functools.partial`.
        activation: the name of a Keras activation.
        regularization: the section of the recipe.
    """
    import keras

    kernel = regularization.kernel_arguments(activation)
    if not regularization.batch_norm:
        return layer(activation=activation, **kernel)(x)
    x = layer(use_bias=False, **kernel)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.layers.Activation(activation)(x)


def dense_stack(
    x: Any, units: tuple[int, ...], activation: str, regularization: RegularizationConfig
) -> Any:
    """Apply a dense layer for each number in `units`, with dropout after each."""
    import keras

    for count in units:
        x = hidden_block(x, partial(keras.layers.Dense, count), activation, regularization)
        x = dropout(x, regularization)
    return x


def dropout(x: Any, regularization: RegularizationConfig) -> Any:
    """Apply dropout (Srivastava et al., 2014) unless its rate is 0."""
    import keras

    return keras.layers.Dropout(regularization.dropout)(x) if regularization.dropout else x


def output_layer(
    x: Any, classes: int, output: OutputActivation, regularization: RegularizationConfig
) -> Any:
    """Apply the output layer, which is float32 under every precision policy."""
    import keras

    return keras.layers.Dense(
        1 if output == "sigmoid" else classes,
        activation=output,
        dtype="float32",
        name="output",
        **regularization.kernel_arguments(output, is_output=True),
    )(x)
