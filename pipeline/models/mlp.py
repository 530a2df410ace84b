"""A multilayer perceptron: fully connected layers on the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import Activation, OutputActivation, PositiveInt
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import dense_stack, output_layer
from pipeline.models.regularization import RegularizationConfig

if TYPE_CHECKING:
    import keras


class MLPConfig(ArchitectureConfig):
    """Fully connected layers on the pixels."""

    architecture: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field((128,), description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="What follows each hidden layer.")


CONFIG = MLPConfig


def build(
    config: MLPConfig,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    output: OutputActivation,
    regularization: RegularizationConfig,
) -> keras.Model:
    """Return pixels / 255 → hidden layers → classes."""
    import keras

    pixels = keras.Input(image_shape, name="pixels")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Flatten()(x)
    x = dense_stack(x, config.hidden, config.activation, regularization)
    return keras.Model(pixels, output_layer(x, classes, output, regularization), name="mlp")
