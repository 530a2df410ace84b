"""Folded networks compute what the original ones do, in every family of keras.applications."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.engines.folding import fold_batchnorm
from pipeline.features.engine_choice import relative_error
from pipeline.models.applications import APPLICATIONS

# The smallest network of each family, with how many batch normalizations it has and how many
# follow a convolution alone.
FAMILIES = {
    "ConvNeXtTiny": (0, 0),
    "DenseNet121": (121, 59),
    "EfficientNetB0": (49, 49),
    "EfficientNetV2B0": (59, 59),
    "InceptionResNetV2": (204, 204),
    "InceptionV3": (94, 94),
    "MobileNet": (27, 27),
    "MobileNetV2": (52, 52),
    "MobileNetV3Small": (34, 34),
    "NASNetMobile": (192, 188),
    "ResNet50": (53, 53),
    "ResNet50V2": (49, 32),
    "VGG16": (0, 0),
    "VGG19": (0, 0),
    "Xception": (40, 40),
}


def with_statistics(network: keras.Model) -> keras.Model:
    """Give batch normalization what training would: means and variances that matter."""
    generator = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.1, shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))
            if layer.center:
                layer.beta.assign(generator.normal(0, 0.1, shape))
            if layer.scale:
                layer.gamma.assign(generator.uniform(0.8, 1.2, shape))
    return network


def count_norms(network: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def features(network: keras.Model, images: np.ndarray) -> np.ndarray:
    outputs = keras.ops.cast(network(images, training=False), "float32")
    return np.asarray(outputs).mean(axis=(1, 2))


def test_every_family_is_covered() -> None:
    modules = {application.module for application in APPLICATIONS.values()}
    assert {APPLICATIONS[name].module for name in FAMILIES} == modules


@pytest.mark.parametrize(
    "name",
    [
        # Their hundreds of layers take long to build.
        pytest.param(name, marks=pytest.mark.slow) if FAMILIES[name][0] > 150 else name
        for name in FAMILIES
    ],
)
def test_a_folded_family_has_the_features_of_the_original(name: str, has_bfloat16: bool) -> None:
    side = APPLICATIONS[name].min_side
    constructor = getattr(keras.applications, name)
    original = with_statistics(
        constructor(include_top=False, weights=None, input_shape=(side, side, 3))
    )
    pixels = np.random.default_rng(1).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    module = getattr(keras.applications, APPLICATIONS[name].module)
    images = module.preprocess_input(pixels.copy())
    expected = features(original, images)

    exact = fold_batchnorm(original, "float32")
    norms, folded = FAMILIES[name]
    assert (count_norms(original), count_norms(original) - count_norms(exact)) == (norms, folded)
    assert relative_error(features(exact, images), expected) < 1e-4

    fast = fold_batchnorm(original, "bfloat16")
    layers = [layer for layer in fast.layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}
    if has_bfloat16:
        assert relative_error(features(fast, images), expected) < 0.15


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
    layer: keras.layers.Layer, shape: tuple[int, ...]
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
def test_a_normalization_that_cannot_be_folded_stays(kind: str) -> None:
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


def test_the_original_network_is_unchanged() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    original = with_statistics(keras.Model(inputs, x))
    before = [weight.copy() for weight in original.get_weights()]
    fold_batchnorm(original, "bfloat16")
    for old, new in zip(before, original.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
