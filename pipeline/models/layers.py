"""Groups of layers that several architectures use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.models.regularization import RegularizationConfig

LATENT = "latent"  # the layer of an autoencoder whose output is the encoding of an image


@dataclass(frozen=True)
class OutputLayer:
    """The last layer of a model.

    Attributes:
        units: their number.
        activation: the name of a Keras activation, or `step`: 1 for inputs above 0, else 0.
        scale: what its output is multiplied by.
        offset: what is added then.
        shape: of an image that the units are the values of; None where they are none.
    """

    units: int
    activation: str
    scale: float = 1.0
    offset: float = 0.0
    shape: tuple[int, ...] | None = None


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


def dense_head(
    x: Any, units: tuple[int, ...], activation: str, regularization: RegularizationConfig
) -> Any:
    """Apply the hidden layers before the output layer; without any, dropout of their input."""
    if not units:
        x = dropout(x, regularization)
    return dense_stack(x, units, activation, regularization)


def dropout(x: Any, regularization: RegularizationConfig) -> Any:
    """Apply dropout (Srivastava et al., 2014) unless its rate is 0."""
    return regularization.dropout_layer()(x) if regularization.dropout else x


def response_normalization(x: Any) -> Any:
    """Apply local response normalization (Krizhevsky et al., 2012, section 3.3).

    Each value is divided by (2 + 1e-4 · the sum of squares in five neighboring channels)^0.75.
    """
    from keras import ops

    channels = x.shape[-1]
    squares = ops.pad(ops.square(x), [[0, 0], [0, 0], [0, 0], [2, 2]])
    neighborhood = sum(squares[..., start : start + channels] for start in range(5))
    root = ops.rsqrt(2.0 + 1e-4 * neighborhood)
    return x * root * ops.sqrt(root)  # twice as fast as a power


def apply_output(x: Any, output: OutputLayer, regularization: RegularizationConfig) -> Any:
    """Apply the output layer, which is float32 under every precision policy.

    To a feature map of the size of an image it is a convolution, otherwise a dense layer.
    """
    import keras

    if output.shape and tuple(x.shape[1:3]) == output.shape[:2]:
        return keras.layers.Conv2D(
            output.shape[2],
            3,
            padding="same",
            activation=output.activation,
            dtype="float32",
            name="output",
            **regularization.kernel_arguments(output.activation, is_output=True),
        )(x)
    is_step = output.activation == "step"
    outputs = keras.layers.Dense(
        output.units,
        activation="linear" if is_step else output.activation,
        dtype="float32",
        name="output",
        **regularization.kernel_arguments(output.activation, is_output=True),
    )(x)
    if output.shape:
        return keras.layers.Reshape(output.shape, dtype="float32", name="image")(outputs)
    if is_step:
        return _step(outputs)
    if (output.scale, output.offset) == (1.0, 0.0):
        return outputs
    rescaling = keras.layers.Rescaling(
        output.scale, output.offset, dtype="float32", name="rescaling"
    )
    return rescaling(outputs)


def _step(x: Any) -> Any:
    """Return 1 where x is above 0, else 0, with a gradient as if it were x.

    So gradient descent on the absolute error is the perceptron rule.
    """
    from keras import ops

    is_above = ops.cast(ops.greater(x, 0.0), "float32")
    return is_above + (x - ops.stop_gradient(x))
