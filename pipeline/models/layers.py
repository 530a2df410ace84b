"""The groups of layers that architectures are made of."""

from __future__ import annotations

from typing import Any

from pipeline.config import OutputActivation
from pipeline.models.regularization import RegularizationConfig


def hidden_block(
    x: Any, layer: type[Any], arguments: dict[str, Any], activation: str, held: RegularizationConfig
) -> Any:
    """Apply a layer with weights, batch normalization if asked for, and an activation.

    Args:
        x: the tensor to apply it to.
        layer: keras.layers.Dense or Conv2D.
        arguments: what makes it the layer it is: units, filters, names.
        activation: the name of a Keras activation.
        held: the regularization.
    """
    import keras

    weights = held.kernel_arguments(activation)
    if not held.batch_norm:
        return layer(activation=activation, **arguments, **weights)(x)
    x = layer(use_bias=False, **arguments, **weights)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.layers.Activation(activation)(x)


def dense_stack(x: Any, units: tuple[int, ...], activation: str, held: RegularizationConfig) -> Any:
    """Apply fully connected layers of so many units, with dropout after each."""
    import keras

    for count in units:
        x = hidden_block(x, keras.layers.Dense, {"units": count}, activation, held)
        x = dropout(x, held)
    return x


def dropout(x: Any, held: RegularizationConfig) -> Any:
    """Apply dropout (Srivastava et al., 2014) if there is any."""
    import keras

    return keras.layers.Dropout(held.dropout)(x) if held.dropout else x


def output_layer(x: Any, classes: int, output: OutputActivation, held: RegularizationConfig) -> Any:
    """Apply the output layer: float32 whatever the precision of the rest."""
    import keras

    return keras.layers.Dense(
        1 if output == "sigmoid" else classes,
        activation=output,
        dtype="float32",
        name="output",
        **held.kernel_arguments(output),
    )(x)
