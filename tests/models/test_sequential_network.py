"""A network of listed layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest

from pipeline.errors import ModelError
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.sequential_network import SequentialConfig

Build = Callable[..., keras.Model]
CONVOLUTION = {"Conv2D": {"filters": 4, "kernel_size": 3}}


def convolution(**arguments: Any) -> dict[str, Any]:
    return {"Conv2D": {**CONVOLUTION["Conv2D"], **arguments}}


@pytest.mark.parametrize(
    "entry",
    [
        convolution(),
        convolution(strides=[2, 3]),
        convolution(padding="same", strides=2),
        convolution(dilation_rate=2),
        {"DepthwiseConv2D": {"kernel_size": [2, 4], "strides": 2}},
        {"SeparableConv2D": {"filters": 3, "kernel_size": 4, "padding": "same"}},
        "MaxPooling2D",
        {"AveragePooling2D": {"pool_size": [3, 2], "strides": 1}},
        {"MaxPooling2D": {"pool_size": 4, "padding": "same"}},
        {"ZeroPadding2D": {"padding": [1, 2]}},
        {"UpSampling2D": {"size": 3}},
        {"Dense": {"units": 5}},
        "BatchNormalization",
        "LayerNormalization",
        {"SpatialDropout2D": {"rate": 0.1}},
        {"GaussianDropout": {"rate": 0.1}},
        {"GaussianNoise": {"stddev": 1.0}},
        {"Activation": {"activation": "gelu"}},
        {"ReLU": {"max_value": 6.0}},
        "LeakyReLU",
        "ELU",
        "PReLU",
    ],
    ids=str,
)
def test_the_size_of_a_feature_map_is_known_without_keras(build: Build, entry: Any) -> None:
    model = build("sequential", (11, 13, 3), layers=[entry, "Flatten"])
    height, width = model.layers[-2].input.shape[1:3]
    needed = {"Conv2D": {"filters": 1, "kernel_size": [height + 1, width]}}
    config = SequentialConfig(architecture="sequential", layers=[entry, needed])
    (problem,) = config.layer_problems((11, 13))
    assert f" than its input of {height}×{width}. " in problem[1]


def test_layers_that_do_not_fit_are_an_error(build: Build) -> None:
    with pytest.raises(ModelError) as caught:
        build("sequential", (8, 8, 1), layers=[CONVOLUTION, convolution(kernel_size=7)])
    assert str(caught.value) == (
        "model.layers.1.Conv2D: its window of 7×7 is larger than its input of 6×6. Set a smaller "
        "kernel_size, padding: same, or a larger data.image_size."
    )


def test_kernels_have_the_penalties_and_the_initial_weights_of_the_recipe(build: Build) -> None:
    layers = [
        CONVOLUTION,
        "BatchNormalization",
        "ReLU",
        {"SeparableConv2D": {"filters": 3, "kernel_size": 3}},
        "Flatten",
        {"Dense": {"units": 3, "activation": "tanh"}},
    ]
    regularization = RegularizationConfig(l2=0.25)
    model = build("sequential", (8, 8, 1), regularization=regularization, layers=layers)
    conv, separable, dense, _ = (
        layer for layer in model.layers if hasattr(layer, "activation") and layer.weights
    )
    assert type(conv.kernel_initializer).__name__ == "HeNormal"  # for the ReLU behind it
    assert type(separable.pointwise_initializer).__name__ == "GlorotUniform"
    assert type(dense.kernel_initializer).__name__ == "GlorotUniform"
    penalties = [conv.kernel_regularizer, separable.depthwise_regularizer]
    penalties += [separable.pointwise_regularizer, dense.kernel_regularizer]
    assert [float(each.l2) for each in penalties] == [0.25] * 4


def test_it_learns_digits(accuracy_on_digits: Callable[..., float]) -> None:
    layers = [
        {"Conv2D": {"filters": 16, "kernel_size": 3, "activation": "relu"}},
        "MaxPooling2D",
        "Flatten",
        {"Dense": {"units": 32, "activation": "relu"}},
    ]
    assert accuracy_on_digits("sequential", 8, 4, 3e-3, layers=layers) > 0.85
