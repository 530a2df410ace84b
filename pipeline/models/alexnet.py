"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012), for large and small images."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

from pydantic import Field

from pipeline.config import Activation
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.convolutional import (
    HiddenUnits,
    Width,
    check_image_size,
    hidden_units,
    scaled_filters,
)
from pipeline.models.layers import dense_head, hidden_block, response_normalization
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize


class _FirstConvolution(NamedTuple):
    """Kernel size, stride and padding, for images with at least so many pixels on a side."""

    min_side: int
    kernel: int
    stride: int
    padding: str


# The first is the published one. With each, the third pooling leaves one value at least.
_FIRST_CONVOLUTIONS = (
    _FirstConvolution(67, 11, 4, "valid"),
    _FirstConvolution(33, 7, 2, "same"),
    _FirstConvolution(15, 5, 1, "same"),
)
_MIN_SIDE = _FIRST_CONVOLUTIONS[-1].min_side


class AlexNetConfig(ArchitectureConfig):
    """AlexNet: five convolutions, three poolings and two dense layers of 4,096 units."""

    architecture: Literal["alexnet"]
    activation: Activation = Field("relu", description="Activation of the hidden layers.")
    width: Width = 1.0
    hidden: HiddenUnits = None

    def image_size_problem(self, height: int, width: int) -> str:
        fits = min(height, width) >= _MIN_SIDE
        return "" if fits else f"alexnet accepts at least [{_MIN_SIDE}, {_MIN_SIDE}]"

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers of AlexNet.

        With the output layer it has 60,965,224 parameters for 227×227 color images and 1,000
        classes. As published, the second, fourth and fifth convolution connect each half of their
        filters to one half of the channels, and the first two are followed by local response
        normalization, whose place batch normalization takes if it is configured.

        Smaller images have a first convolution with a smaller kernel and stride.
        """
        import keras

        _, height, width, _ = inputs.shape
        check_image_size(self, height, width)
        side = min(height, width)
        first = next(row for row in _FIRST_CONVOLUTIONS if side >= row.min_side)

        def convolution(
            x: Any, name: str, filters: int, kernel: int, stride: int = 1, padding: str = "same"
        ) -> Any:
            layer = partial(keras.layers.Conv2D, filters, kernel, stride, padding, name=name)
            return hidden_block(x, layer, self.activation, regularization)

        def in_two_groups(x: Any, name: str, filters: int, kernel: int) -> Any:
            # Not `groups=2`: TensorFlow's kernel for CPUs is ten times slower.
            halves = keras.ops.split(x, 2, axis=-1)
            results = [
                convolution(half, f"{name}_{number}", filters // 2, kernel)
                for number, half in enumerate(halves, 1)
            ]
            return keras.layers.Concatenate(name=name)(results)

        def normalization(x: Any) -> Any:
            return x if regularization.batch_norm else response_normalization(x)

        def pooling(x: Any, name: str) -> Any:
            return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)

        c1, c2, c3, c4, c5 = (scaled_filters(n, self.width) for n in (96, 256, 384, 384, 256))
        x = convolution(standardize(inputs), "conv1", c1, first.kernel, first.stride, first.padding)
        x = pooling(normalization(x), "pool1")
        x = in_two_groups(x, "conv2", c2, 5)
        x = pooling(normalization(x), "pool2")
        x = convolution(x, "conv3", c3, 3)
        x = in_two_groups(x, "conv4", c4, 3)
        x = in_two_groups(x, "conv5", c5, 3)
        x = keras.layers.Flatten()(pooling(x, "pool5"))
        return dense_head(x, hidden_units(self.hidden, side), self.activation, regularization)
