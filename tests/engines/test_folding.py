"""Batch normalization is folded where that changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from pipeline.engines.folding import fold_batchnorm

WithStatistics = Callable[[keras.Model], keras.Model]


def count_norms(network: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Conv2D(5, 3, use_bias=False), (8, 8, 3)),
        (keras.layers.Conv2D(5, 3, use_bias=True), (8, 8, 3)),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 3)),
        (keras.layers.SeparableConv2D(5, 3, use_bias=False), (8, 8, 3)),
        (keras.layers.Dense(5), (7,)),
    ],
)
def test_normalization_is_folded_into_each_linear_layer(
    layer: keras.layers.Layer, shape: tuple[int, ...], with_statistics: WithStatistics
) -> None:
    inputs = keras.Input(shape)
    x = keras.layers.BatchNormalization()(layer(inputs))
    original = with_statistics(keras.Model(inputs, keras.layers.ReLU()(x)))
    exact = fold_batchnorm(original, "float32")
    assert count_norms(exact) == 0
    images = np.random.default_rng(2).normal(size=(4, *shape)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(exact(images)), np.asarray(original(images)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["activation between", "used twice", "after nothing linear"])
def test_a_normalization_that_cannot_be_folded_stays(
    kind: str, with_statistics: WithStatistics
) -> None:
    inputs = keras.Input((8, 8, 3))
    activation = "relu" if kind == "activation between" else None
    x = keras.layers.Conv2D(3, 3, padding="same", activation=activation)(inputs)
    if kind == "after nothing linear":
        x = keras.layers.MaxPooling2D()(x)
    normal = keras.layers.BatchNormalization()(x)
    output = keras.layers.Add()([normal, x]) if kind == "used twice" else normal
    original = with_statistics(keras.Model(inputs, output))
    exact = fold_batchnorm(original, "float32")
    assert count_norms(exact) == 1
    images = np.random.default_rng(3).normal(size=(4, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(exact(images)), np.asarray(original(images)), atol=1e-5)


def test_layers_that_scale_the_input_stay_in_float32() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)(x)
    fast = fold_batchnorm(keras.Model(inputs, keras.layers.Conv2D(2, 3)(x)), "bfloat16")
    dtypes = {type(layer).__name__: layer.compute_dtype for layer in fast.layers}
    assert (dtypes["Rescaling"], dtypes["Normalization"], dtypes["Conv2D"]) == (
        "float32",
        "float32",
        "bfloat16",
    )


def test_the_original_network_is_unchanged(with_statistics: WithStatistics) -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    original = with_statistics(keras.Model(inputs, x))
    before = [weight.copy() for weight in original.get_weights()]
    fold_batchnorm(original, "bfloat16")
    for old, new in zip(before, original.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
