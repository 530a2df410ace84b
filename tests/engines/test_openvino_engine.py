"""OpenVINO computes what Keras does, in batches of any size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from pipeline.engines.engine import ENGINES, Precision
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph

SIDE = 96


@pytest.fixture(scope="module")
def graph(weights: Path) -> FrozenGraph:
    """A ResNet-18 with its ImageNet weights."""
    base = keras.models.load_model(weights / "resnet18_imagenet.keras", compile=False)
    sized = keras.models.clone_model(base, input_tensors=keras.Input((SIDE, SIDE, 3)))
    sized.set_weights(base.get_weights())
    pixels = keras.Input((SIDE, SIDE, 3))
    return FrozenGraph(keras.Model(pixels, keras.layers.Identity()(pixels)), sized, pool=True)


@pytest.fixture(scope="module")
def images(photographs: Path) -> np.ndarray:
    files = sorted((photographs / "train" / "ants").glob("*.jpg"))[:11]
    pixels = [Image.open(file).convert("RGB").resize((SIDE, SIDE)) for file in files]
    return np.array(pixels, np.float32)


@pytest.fixture(scope="module")
def float32(graph: FrozenGraph) -> CompiledGraph:
    return compiled(graph, "openvino", "float32", np.empty(0))


def compiled(
    graph: FrozenGraph, engine: str, precision: Precision, images: np.ndarray
) -> CompiledGraph:
    return ENGINES[engine].compiler(graph)(precision, images, pool=graph.pool)  # type: ignore[index]


def features(graph: CompiledGraph, *batches: np.ndarray) -> np.ndarray:
    return np.concatenate([array for (array,) in graph.run(batches)])


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def test_float32_is_what_keras_computes(
    graph: FrozenGraph, float32: CompiledGraph, images: np.ndarray
) -> None:
    expected = features(compiled(graph, "keras", "float32", images), images)
    assert error(features(float32, images), expected) < 1e-5


def test_the_bits_do_not_depend_on_the_batches(float32: CompiledGraph, images: np.ndarray) -> None:
    together = features(float32, images)
    for sizes in ([1, 10], [3, 5, 3], [4, 7]):
        parts = np.split(images, np.cumsum(sizes)[:-1])
        np.testing.assert_array_equal(features(float32, *parts), together)


def test_batches_come_back_in_order_and_whole(float32: CompiledGraph, images: np.ndarray) -> None:
    sizes = [len(array) for (array,) in float32.run([images, images[:1], images[:6]])]
    assert sizes == [11, 1, 6]


def test_an_abandoned_iteration_leaves_the_graph_usable(
    float32: CompiledGraph, images: np.ndarray
) -> None:
    abandoned = iter(float32.run([images, images]))
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    assert features(float32, images).shape == (11, 512)


def test_threads_may_compute_at_the_same_time(float32: CompiledGraph, images: np.ndarray) -> None:
    together = features(float32, images)
    orders = [np.random.default_rng(seed).permutation(len(images)) for seed in range(6)]
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda order: features(float32, images[order]), orders))
    for order, result in zip(orders, results, strict=True):
        np.testing.assert_array_equal(result, together[order])


def test_pooled_outputs_are_the_averages_of_feature_maps(
    graph: FrozenGraph, images: np.ndarray
) -> None:
    compiler = ENGINES["openvino"].compiler(graph)
    ((maps,),), ((pooled,),) = (
        compiler("float32", np.empty(0), pool=pool).run([images[:2]]) for pool in (False, True)
    )
    assert maps.shape == (2, 3, 3, 512)
    np.testing.assert_allclose(pooled, maps.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_int8_is_close_to_float32(
    graph: FrozenGraph,
    float32: CompiledGraph,
    images: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quantized = features(compiled(graph, "openvino", "int8", images), images)
    assert capsys.readouterr() == ("", "")  # no bars of its progress
    assert 1e-4 < error(quantized, features(float32, images)) < 0.3


def test_several_outputs_are_not_pooled_unless_asked(images: np.ndarray) -> None:
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, strides=4)(inputs)
    network = keras.Model(inputs, [x, keras.layers.Conv2D(6, 3)(x)])
    graph = FrozenGraph(keras.Model(inputs, keras.layers.Rescaling(0.1)(inputs)), network, False)
    ((first, second),) = compiled(graph, "openvino", "float32", images).run([images])
    expected = network(images * np.float32(0.1), training=False)
    assert graph.output_shapes == [first.shape[1:], second.shape[1:]]
    for actual, wanted in zip((first, second), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-3, atol=1e-3)
