"""LeNet-5 (LeCun et al., 1998), with C3 connected to all feature maps of S2."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from pydantic import Field

from pipeline.config import Activation
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.convolutional import check_image_size
from pipeline.models.layers import dropout, hidden_block
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

_INPUT_SIDE = 32  # pixels; smaller images are padded


class LeNetConfig(ArchitectureConfig):
    """LeNet-5: two convolutions with pooling, then layers of 120 and 84 units and the output."""

    architecture: Literal["lenet"]
    activation: Activation = Field("tanh", description="Activation of the hidden layers.")
    pooling: Literal["average", "max"] = Field("average", description="Pooling of S2 and S4.")

    def image_size_problem(self, height: int, width: int) -> str:
        fits = max(height, width) <= _INPUT_SIDE
        return "" if fits else f"lenet accepts at most [{_INPUT_SIDE}, {_INPUT_SIDE}]"

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers of LeNet-5.

        With the output layer it has 61,706 parameters for 28×28 grayscale images and ten classes.
        """
        import keras

        _, height, width, _ = inputs.shape
        check_image_size(self, height, width)
        is_average = self.pooling == "average"
        pooling = keras.layers.AveragePooling2D if is_average else keras.layers.MaxPooling2D

        def convolution(x: Any, filters: int, name: str) -> Any:
            layer = partial(keras.layers.Conv2D, filters, 5, name=name)
            return hidden_block(x, layer, self.activation, regularization)

        x = inputs
        if (height, width) != (_INPUT_SIDE, _INPUT_SIDE):
            top, left = (_INPUT_SIDE - height) // 2, (_INPUT_SIDE - width) // 2
            padding = ((top, _INPUT_SIDE - height - top), (left, _INPUT_SIDE - width - left))
            x = keras.layers.ZeroPadding2D(padding, name="pad")(x)
        x = standardize(x)
        x = convolution(x, 6, "C1")
        x = pooling(2, name="S2")(x)
        x = convolution(x, 16, "C3")
        x = pooling(2, name="S4")(x)
        x = keras.layers.Flatten()(x)
        # A convolution whose kernel covers its whole input, as C5 does, is a dense layer, which is
        # computed faster as such.
        c5 = partial(keras.layers.Dense, 120, name="C5")
        x = hidden_block(x, c5, self.activation, regularization)
        x = dropout(x, regularization)
        f6 = partial(keras.layers.Dense, 84, name="F6")
        x = hidden_block(x, f6, self.activation, regularization)
        return dropout(x, regularization)
