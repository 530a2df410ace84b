"""A convolutional autoencoder."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.config import Activation, PositiveInt
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import LATENT, hidden_block
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize


class AutoencoderConfig(ArchitectureConfig):
    """A convolutional autoencoder (Masci et al., 2011): an image, a few numbers, the image again.

    Each convolution of the encoder halves height and width, and each transposed one of the decoder
    doubles them.
    """

    draws_images: ClassVar[bool] = True

    architecture: Literal["autoencoder"]
    filters: tuple[PositiveInt, ...] = Field(
        (16, 32), min_length=1, description="Filters of each convolution of the encoder."
    )
    latent: PositiveInt = Field(32, description="Numbers that an image is encoded in.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        from keras import layers

        sizes = [tuple(inputs.shape[1:3])]
        x = standardize(inputs)
        for filters in self.filters:
            sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
            halved = partial(layers.Conv2D, filters, 3, strides=2, padding="same")
            x = hidden_block(x, halved, self.activation, regularization)
        height, width = sizes.pop()
        x = layers.Dense(self.latent, name=LATENT)(layers.Flatten()(x))
        units = partial(layers.Dense, height * width * self.filters[-1])
        x = hidden_block(x, units, self.activation, regularization)
        x = layers.Reshape((height, width, self.filters[-1]))(x)
        for filters in reversed(self.filters):
            doubled = partial(layers.Conv2DTranspose, filters, 3, strides=2, padding="same")
            x = hidden_block(x, doubled, self.activation, regularization)
            height, width = sizes.pop()
            if tuple(x.shape[1:3]) != (height, width):
                x = layers.Cropping2D(((0, x.shape[1] - height), (0, x.shape[2] - width)))(x)
        return x
