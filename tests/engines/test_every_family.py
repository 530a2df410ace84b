"""Every engine computes every family of networks, in each of its precisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline.engines.engine import ENGINES, KERAS, Variant
from pipeline.engines.folding import fold_batchnorm
from pipeline.engines.frozen_graph import FrozenGraph
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
    "vision transformer": (0, 0),
}
NOT_SLOW = ("vision transformer",)
MIN_SIDE = 32
MAX_ERRORS = {"float32": 1e-4, "bfloat16": 0.15, "int8": 0.5}
VARIANTS = [
    Variant(name, precision) for name, engine in ENGINES.items() for precision in engine.precisions
]


def vision_transformer() -> FrozenGraph:
    """Return a small network of Dosovitskiy et al. (2021), as a .keras file may have it."""
    side, patch, units = 64, 16, 32
    pixels = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    x = keras.layers.Conv2D(units, patch, strides=patch)(x)
    x = keras.layers.Reshape((-1, units))(x)
    for _ in range(2):
        normal = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(4, units // 4)(normal, normal)
        normal = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.Dense(units)(keras.layers.Dense(64, activation="gelu")(normal))
    rows = keras.layers.Reshape((side // patch, side // patch, units))
    network = keras.Model(pixels, rows(keras.layers.LayerNormalization()(x)))
    return FrozenGraph(keras.Model(pixels, keras.layers.Identity()(pixels)), network, pool=True)


def application(name: str) -> FrozenGraph:
    """Return an untrained network behind its preprocessing."""
    known = APPLICATIONS[name]
    side = max(known.min_side, MIN_SIDE)
    pixels = keras.Input((side, side, 3))
    prepared = getattr(keras.applications, known.module).preprocess_input(pixels)
    constructor = getattr(keras.applications, name)
    network = constructor(include_top=False, weights=None, input_shape=(side, side, 3))
    return FrozenGraph(keras.Model(pixels, prepared), network, pool=True)


def count_norms(network: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def test_every_family_is_covered() -> None:
    modules = {application.module for application in APPLICATIONS.values()}
    assert {APPLICATIONS[name].module for name in FAMILIES if name in APPLICATIONS} == modules


@pytest.mark.parametrize(
    "name",
    [name if name in NOT_SLOW else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def test_every_engine_has_the_features_of_the_original(
    name: str,
    photographs: Path,
    has_bfloat16: bool,
    with_statistics: Callable[[keras.Model], keras.Model],
) -> None:
    graph = application(name) if name in APPLICATIONS else vision_transformer()
    network = with_statistics(graph.network)
    norms, folded = FAMILIES[name]
    exact = fold_batchnorm(network, "float32")
    assert (count_norms(network), count_norms(network) - count_norms(exact)) == (norms, folded)

    height, width, _ = graph.input_shape
    files = sorted((photographs / "train" / "ants").glob("*.jpg"))[:8]
    pixels = [Image.open(file).convert("RGB").resize((width, height)) for file in files]
    images = np.array(pixels, np.float32)

    def features(variant: Variant) -> np.ndarray:
        compiled = ENGINES[variant.engine].compiler(graph)(variant.precision, images, pool=True)
        ((activations,),) = compiled.run([images])
        return activations

    expected = features(KERAS)
    for variant in VARIANTS:
        # Quantizing hundreds of layers takes half a minute.
        if variant.precision == "int8" and len(network.layers) > 300:
            continue
        if has_bfloat16 or variant.precision != "bfloat16":
            error = relative_error(features(variant), expected)
            assert error < MAX_ERRORS[variant.precision], (str(variant), error)
