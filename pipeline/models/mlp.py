"""A multilayer perceptron."""

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
    """A multilayer perceptron: dense layers on the flattened pixels."""

    architecture: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field((128,), description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")

    def build(
        self,
        *,
        image_shape: tuple[int, int, int],
        classes: int,
        output: OutputActivation,
        regularization: RegularizationConfig,
    ) -> keras.Model:
        import keras

        pixels = keras.Input(image_shape, name="pixels")
        x = keras.layers.Rescaling(1 / 255)(pixels)
        x = keras.layers.Flatten()(x)
        x = dense_stack(x, self.hidden, self.activation, regularization)
        return keras.Model(pixels, output_layer(x, classes, output, regularization), name="mlp")
