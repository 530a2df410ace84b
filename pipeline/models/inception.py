"""The Inception network GoogLeNet (Szegedy et al., 2015), for large and small images."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.convolutional import Width, scaled_filters
from pipeline.models.layers import dropout, hidden_block, response_normalization
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

_ACTIVATION = "relu"


class _Module(NamedTuple):
    """The numbers of filters of an inception module, as in table 1."""

    name: str
    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: int


_STAGES = (
    (_Module("3a", 64, 96, 128, 16, 32, 32), _Module("3b", 128, 128, 192, 32, 96, 64)),
    (
        _Module("4a", 192, 96, 208, 16, 48, 64),
        _Module("4b", 160, 112, 224, 24, 64, 64),
        _Module("4c", 128, 128, 256, 24, 64, 64),
        _Module("4d", 112, 144, 288, 32, 64, 64),
        _Module("4e", 256, 160, 320, 32, 128, 128),
    ),
    (_Module("5a", 256, 160, 320, 32, 128, 128), _Module("5b", 384, 192, 384, 48, 128, 128)),
)
# Images up to so many pixels are halved once, or twice, before the first module; larger ones
# three times, as published.
_HALVED_ONCE, _HALVED_TWICE = 48, 96


class InceptionConfig(ArchitectureConfig):
    """GoogLeNet: nine inception modules, each with convolutions of three sizes side by side."""

    architecture: Literal["inception"]
    width: Width = 0.25

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers of GoogLeNet, without its auxiliary classifiers.

        With the output layer and a width of 1 it has 6,998,552 parameters for color images and
        1,000 classes. Batch normalization, if it is configured, takes the place of local response
        normalization. Dropout applies to the features, as published.

        Images of 96 pixels or less are halved less often before the first module.
        """
        import keras

        def convolution(x: Any, filters: int, kernel: int, stride: int = 1, name: str = "") -> Any:
            count = scaled_filters(filters, self.width)
            layer = partial(keras.layers.Conv2D, count, kernel, stride, "same", name=name)
            return hidden_block(x, layer, _ACTIVATION, regularization)

        def normalization(x: Any) -> Any:
            return x if regularization.batch_norm else response_normalization(x)

        def halving(x: Any, name: str) -> Any:
            return keras.layers.MaxPooling2D(3, 2, "same", name=name)(x)

        def module(x: Any, filters: _Module) -> Any:
            def name(branch: str) -> str:
                return f"{filters.name}_{branch}"

            pooled = keras.layers.MaxPooling2D(3, 1, "same", name=name("pool"))(x)
            reduced3 = convolution(x, filters.reduce3, 1, name=name("reduce3"))
            reduced5 = convolution(x, filters.reduce5, 1, name=name("reduce5"))
            branches = [
                convolution(x, filters.conv1, 1, name=name("conv1")),
                convolution(reduced3, filters.conv3, 3, name=name("conv3")),
                convolution(reduced5, filters.conv5, 5, name=name("conv5")),
                convolution(pooled, filters.pool, 1, name=name("projection")),
            ]
            return keras.layers.Concatenate(name=filters.name)(branches)

        side = min(inputs.shape[1:3])
        x = standardize(inputs)
        kernel, stride = (3, 1) if side <= _HALVED_ONCE else (7, 2)
        x = convolution(x, 64, kernel, stride, name="conv1")
        x = normalization(halving(x, "pool1"))
        x = convolution(x, 64, 1, name="reduce2")
        x = normalization(convolution(x, 192, 3, name="conv2"))
        if side > _HALVED_TWICE:
            x = halving(x, "pool2")
        for number, modules in enumerate(_STAGES, 3):
            if number > 3:
                x = halving(x, f"pool{number - 1}")
            for filters in modules:
                x = module(x, filters)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return dropout(x, regularization)
