"""A multilayer perceptron: fully connected layers on the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.models.keys import ArchitectureKeys
from pipeline.models.layers import classifier, dense_stack
from pipeline.models.regularization import Regularization
from pipeline.section import Activation, Output, PositiveInt

if TYPE_CHECKING:
    import keras


class Keys(ArchitectureKeys):
    """Fully connected layers on the pixels."""

    architecture: Literal["mlp"]
    hidden: tuple[PositiveInt, ...] = Field((128,), description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="What follows each hidden layer.")


def build(
    keys: Keys,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    output: Output,
    regularization: Regularization,
) -> keras.Model:
    """Return pixels / 255 → hidden layers → classes."""
    import keras

    pixels = keras.Input(image_shape, name="pixels")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Flatten()(x)
    x = dense_stack(x, keys.hidden, keys.activation, regularization)
    return keras.Model(pixels, classifier(x, classes, output, regularization), name="mlp")
