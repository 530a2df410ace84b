"""The graph of a Keras model, written for OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.engines.frozen_graph import FrozenGraph
from pipeline.engines.kept_networks import convert_once
from pipeline.engines.tracing import trace
from pipeline.inference import graph_writer
from pipeline.inference.graph_writer import write_graph
from pipeline.inference.model_graph import load_graph

pytest.importorskip("openvino")


def test_large_numbers_may_differ_by_what_they_are_rounded_by(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Rescaling(1e6, 3e7)(outputs))
    file = tmp_path / "model.keras"
    model.save(file)
    directory = tmp_path / "graph"
    directory.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)
    expected = model.predict_on_batch(images)
    facts = write_graph(
        model,
        file,
        directory,
        feature_layer=None,
        network=None,
        images=images,
        expected=lambda: expected,
    )
    assert np.abs(expected).max() > 1e7
    assert 0 < facts.max_difference < 1e-4


def test_a_kept_network_is_not_converted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    pixels, inputs = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    base = keras.Model(inputs, keras.layers.Conv2D(16, 3, activation="relu")(inputs))
    prepared = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.GlobalAveragePooling2D(name="features")(base(prepared))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))
    file = tmp_path / "model.keras"
    model.save(file)
    frozen = FrozenGraph(keras.Model(pixels, prepared), base, pool=True)
    convert_once(frozen)
    traced: list[tuple[int, ...]] = []

    def spy(networks: list[keras.Model]) -> Any:
        traced.append(networks[0].input_shape)
        return trace(networks)

    monkeypatch.setattr(graph_writer, "trace", spy)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    expected = model.predict_on_batch(images)
    facts = write_graph(
        model,
        file,
        tmp_path,
        feature_layer="features",
        network=frozen.digest,
        images=images,
        expected=lambda: expected,
    )
    assert traced == [(None, 6, 6, 16)]
    assert facts.max_difference < 1e-5
    graph = load_graph(tmp_path, file.name, "features")
    assert graph is not None
    ((_, features),) = graph.run([images.astype(np.float32)])
    of_layer = keras.Model(pixels, x).predict_on_batch(images)
    np.testing.assert_allclose(features, of_layer, rtol=1e-5, atol=1e-6)
