"""AlexNet, compared with its publication."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.regularization import RegularizationConfig

Build = Callable[..., keras.Model]


@pytest.fixture(scope="module")
def published(build: Build) -> keras.Model:
    return build("alexnet", (227, 227, 3), classes=1000)


def test_the_published_network_has_60965224_parameters(published: keras.Model) -> None:
    assert published.count_params() == 60_965_224


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (55, 55, 96)),
        ("conv2", (27, 27, 256)),
        ("conv3", (13, 13, 384)),
        ("conv4", (13, 13, 384)),
        ("conv5", (13, 13, 256)),
        ("pool5", (6, 6, 256)),
    ],
)
def test_each_layer_has_the_published_shape(
    published: keras.Model, layer: str, shape: tuple[int, ...]
) -> None:
    assert published.get_layer(layer).output.shape[1:] == shape


@pytest.mark.parametrize("side", [15, 32, 33, 66, 67])
def test_a_small_image_leaves_a_value_after_the_last_pooling(build: Build, side: int) -> None:
    rows, columns, _ = (
        build("alexnet", (side, side, 3), width=0.01).get_layer("pool5").output.shape[1:]
    )
    assert 1 <= rows == columns <= 3


def test_an_image_that_is_too_small_is_rejected(build: Build) -> None:
    with pytest.raises(ModelError) as caught:
        build("alexnet", (20, 14, 3))
    assert str(caught.value) == (
        "data.image_size: alexnet accepts at least [15, 15]. Received [20, 14]."
    )


def test_batch_normalization_takes_the_place_of_response_normalization(build: Build) -> None:
    def operations(**regularization: bool) -> set[str]:
        held = RegularizationConfig(**regularization)
        model = build("alexnet", (32, 32, 3), regularization=held, width=0.01)
        return {type(operation).__name__ for operation in model.operations}

    assert {"Rsqrt"} == operations() & {"Rsqrt", "BatchNormalization"}
    assert {"BatchNormalization"} == operations(batch_norm=True) & {"Rsqrt", "BatchNormalization"}


def test_dropout_follows_the_two_dense_layers(build: Build) -> None:
    held = RegularizationConfig(dropout=0.5)
    model = build("alexnet", (32, 32, 3), regularization=held, width=0.01)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[-6:] == ["Flatten", "Dense", "Dropout", "Dense", "Dropout", "Dense"]


@pytest.mark.slow
def test_it_learns_digits(accuracy_on_digits: Callable[..., float]) -> None:
    assert accuracy_on_digits("alexnet", 16, 3, 1e-3, width=0.125, hidden=(64,)) > 0.8


def test_a_half_of_the_filters_sees_a_half_of_the_channels(build: Build) -> None:
    held = RegularizationConfig()
    model = build("alexnet", (32, 32, 3), regularization=held, width=0.1)
    conv2 = keras.Model(model.get_layer("pool1").output, model.get_layer("conv2").output)
    maps = np.zeros((1, 15, 15, 10), np.float32)
    maps[..., 5:] = 1
    first, second = np.split(np.asarray(conv2(maps)), 2, axis=-1)
    assert not first.any()
    assert second.any()
