"""The residual network for small images (He et al., 2016, section 4.2)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, Strict

from pipeline.config import Expected
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import dropout
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

_ACTIVATION = "relu"
_FILTERS = (16, 32, 64)  # of each stage
# Of the moving averages of batch normalization. With Keras's 0.99 they take hundreds of steps to
# follow, which are several epochs of a small data set.
_MOMENTUM = 0.9


def _check_depth(depth: int) -> int:
    if (depth - 2) % 6:
        raise ValueError("not 6n + 2")
    return depth


Depth = Annotated[
    int,
    Strict(),
    Field(ge=8),
    AfterValidator(_check_depth),
    Expected("6n + 2 layers: 8, 14, 20, 26, 32, …"),
]


class ResNetConfig(ArchitectureConfig):
    """The residual network of 20, 32, 44, 56 or 110 layers that was published for CIFAR-10."""

    always_normalizes: ClassVar[bool] = True

    architecture: Literal["resnet"]
    depth: Depth = Field(20, description="Number of layers with weights, 6n + 2.")

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers of the residual network.

        Where the number of filters doubles, the shortcut takes every second pixel and adds
        channels of zeros (option A), so that only convolutions, batch normalization and the output
        layer have weights. With the output layer and a depth of 20 it has 269,722 trainable
        parameters for 32×32 color images and ten classes.

        Dropout, which the published network is trained without, applies to the features.
        """
        import keras

        kernel = regularization.kernel_arguments(_ACTIVATION)

        def normalized_convolution(x: Any, filters: int, stride: int = 1) -> Any:
            x = keras.layers.Conv2D(filters, 3, stride, "same", use_bias=False, **kernel)(x)
            return keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)

        def activation(x: Any) -> Any:
            return keras.layers.Activation(_ACTIVATION)(x)

        def block(x: Any, filters: int, stride: int) -> Any:
            residual = activation(normalized_convolution(x, filters, stride))
            residual = normalized_convolution(residual, filters)
            if stride > 1:
                x = keras.layers.MaxPooling2D(1, stride, "same")(x)
                added = filters - x.shape[-1]
                x = keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, added]])
            return activation(keras.layers.Add()([residual, x]))

        x = activation(normalized_convolution(standardize(inputs), _FILTERS[0]))
        for stage, filters in enumerate(_FILTERS):
            for number in range((self.depth - 2) // 6):
                x = block(x, filters, stride=2 if stage and not number else 1)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return dropout(x, regularization)
