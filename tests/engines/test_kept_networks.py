"""Networks that were converted once are read from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import array_cache
from pipeline.engines import kept_networks
from pipeline.engines.frozen_graph import FrozenGraph
from pipeline.engines.kept_networks import convert_once, find_network

pytest.importorskip("openvino")

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.float32)


def graph(preparation: Any = None) -> FrozenGraph:
    pixels, inputs = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    prepared = (preparation or keras.layers.Identity())(pixels)
    x = keras.layers.Conv2D(4, 3, kernel_initializer="ones", name="conv")(inputs)
    network = keras.Model(inputs, keras.layers.ReLU()(x), name="net")
    return FrozenGraph(keras.Model(pixels, prepared), network, pool=True)


def outputs(model: Any) -> np.ndarray:
    return np.array(kept_networks.openvino.Core().compile_model(model, "CPU")(IMAGES)[0])


def test_a_network_is_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = outputs(convert_once(graph()))
    monkeypatch.delattr(kept_networks, "convert")
    np.testing.assert_array_equal(outputs(convert_once(graph())), converted)
    assert converted.shape == (3, 6, 6, 4)  # not pooled
    (entry,) = array_cache.list_entries()
    assert (entry.kind, entry.label) == ("networks", "net, converted")


def test_a_network_is_found_by_what_it_computes() -> None:
    assert find_network(graph().digest) is None
    convert_once(graph())
    assert find_network(graph().digest) is not None
    assert find_network(graph(keras.layers.Rescaling(2.0)).digest) is None


def test_a_corrupt_network_is_converted_again(messages: list[str]) -> None:
    expected = outputs(convert_once(graph()))
    (entry,) = array_cache.list_entries()
    weights = Path(array_cache.entry_directory(entry.key), "network.bin")
    weights.write_bytes(bytes(weights.stat().st_size))
    np.testing.assert_array_equal(outputs(convert_once(graph())), expected)
    assert messages == [f"WARNING: {weights} is corrupt: computing net, converted again"]
