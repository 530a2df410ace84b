"""LeNet-5 (LeCun et al., 1998), with C3 connected to all maps of S2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.config import Activation, OutputActivation
from pipeline.errors import ModelError
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import dropout, hidden_block, output_layer
from pipeline.models.regularization import RegularizationConfig

if TYPE_CHECKING:
    import keras

SIDE = 32  # pixels of the square that LeNet looks at; smaller images are padded to it


class LeNetConfig(ArchitectureConfig):
    """LeNet-5: two convolutions with pooling, then three layers of 120, 84 and the classes."""

    architecture: Literal["lenet"]
    activation: Activation = Field("tanh", description="What follows each layer but the last.")
    pooling: Literal["average", "max"] = Field("average", description="What S2 and S4 take.")


CONFIG = LeNetConfig


def build(
    config: LeNetConfig,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    output: OutputActivation,
    regularization: RegularizationConfig,
) -> keras.Model:
    """Return LeNet-5; on 28×28 gray images and ten classes it has 61,706 parameters.

    Raises:
        ModelError: if the images are larger than 32×32.
    """
    import keras

    height, width, _ = image_shape
    if max(height, width) > SIDE:
        raise ModelError(
            f"model.architecture: lenet takes images of up to {SIDE}×{SIDE} pixels. "
            f"Received: {height}×{width}. Set data.image_size: [28, 28]."
        )
    pool = {
        "average": keras.layers.AveragePooling2D,
        "max": keras.layers.MaxPooling2D,
    }[config.pooling]

    def convolution(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        arguments = {"filters": filters, "kernel_size": 5, "name": name}
        return hidden_block(x, keras.layers.Conv2D, arguments, config.activation, regularization)

    pixels = keras.Input(image_shape, name="pixels")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    if (height, width) != (SIDE, SIDE):
        top, left = (SIDE - height) // 2, (SIDE - width) // 2
        around = ((top, SIDE - height - top), (left, SIDE - width - left))
        x = keras.layers.ZeroPadding2D(around, name="pad")(x)
    x = convolution(x, 6, "C1")
    x = pool(2, name="S2")(x)
    x = convolution(x, 16, "C3")
    x = pool(2, name="S4")(x)
    x = convolution(x, 120, "C5")
    x = keras.layers.Flatten()(x)
    x = dropout(x, regularization)
    f6 = {"units": 84, "name": "F6"}
    x = hidden_block(x, keras.layers.Dense, f6, config.activation, regularization)
    x = dropout(x, regularization)
    return keras.Model(pixels, output_layer(x, classes, output, regularization), name="lenet")
