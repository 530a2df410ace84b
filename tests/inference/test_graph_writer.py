"""The graph of a Keras model, written for OpenVINO."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.inference.graph_writer import write_graph
from pipeline.inference.traced_model import trace_model

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
    function = trace_model(model, None)
    facts = write_graph(
        function, file, directory, feature_layer=None, images=images, expected=lambda: expected
    )
    assert np.abs(expected).max() > 1e7
    assert 0 < facts.max_difference < 1e-4
