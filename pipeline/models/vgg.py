"""VGG (Simonyan and Zisserman, 2015), with 11, 13, 16 or 19 layers."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

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
from pipeline.models.layers import dense_head, hidden_block
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

_MIN_SIDE = 32  # pixels; five poolings halve them
_FILTERS = (64, 128, 256, 512, 512)  # of each block
_CONVOLUTIONS = {  # in each block, table 1: A, B, D and E
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGGConfig(ArchitectureConfig):
    """VGG: five blocks of 3×3 convolutions, each with a pooling, and two dense layers."""

    architecture: Literal["vgg"]
    depth: Literal[11, 13, 16, 19] = Field(16, description="Number of layers with weights.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")
    width: Width = 1.0
    hidden: HiddenUnits = None

    def image_size_problem(self, height: int, width: int) -> str:
        fits = min(height, width) >= _MIN_SIDE
        return "" if fits else f"vgg accepts at least [{_MIN_SIDE}, {_MIN_SIDE}]"

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers of VGG.

        With the output layer and a depth of 16 it has 138,357,544 parameters for 224×224 color
        images and 1,000 classes.
        """
        import keras

        _, height, width, _ = inputs.shape
        check_image_size(self, height, width)
        x = standardize(inputs)
        for block, count in enumerate(_CONVOLUTIONS[self.depth]):
            filters = scaled_filters(_FILTERS[block], self.width)
            for number in range(count):
                name = f"block{block + 1}_conv{number + 1}"
                layer = partial(keras.layers.Conv2D, filters, 3, padding="same", name=name)
                x = hidden_block(x, layer, self.activation, regularization)
            x = keras.layers.MaxPooling2D(2, name=f"block{block + 1}_pool")(x)
        units = hidden_units(self.hidden, min(height, width))
        return dense_head(keras.layers.Flatten()(x), units, self.activation, regularization)
