"""A folded network is used only if its features are those of the original network."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.features import precision_guard
from pipeline.features.precision_guard import choose_precision, original_network, relative_error

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)


def network() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.ReLU()(x), name="net")


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_is_used_if_the_features_agree(messages: list[str]) -> None:
    chosen = choose_precision(original_network(network()), IMAGES, pool=True, wanted="bfloat16")
    assert (chosen.precision, messages) == ("bfloat16", [])
    assert 0 < chosen.error < 0.05


@pytest.mark.usefixtures("bfloat16")
def test_float32_is_used_if_bfloat16_is_too_inaccurate(
    messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(precision_guard.MAX_ERROR, "bfloat16", 1e-9)
    chosen = choose_precision(original_network(network()), IMAGES, pool=True, wanted="bfloat16")
    assert (chosen.precision, len(messages)) == ("float32", 1)
    assert messages[0].startswith("Not running net in bfloat16: the relative error of its features")
    assert messages[0].endswith(", more than 1e-09")


def test_the_original_network_is_used_if_a_layer_cannot_be_cloned(messages: list[str]) -> None:
    class Stubborn(keras.layers.Layer):
        def __init__(self, secret: int) -> None:
            super().__init__()
            self.secret = secret

        def call(self, inputs: object) -> object:
            return inputs

    inputs = keras.Input((8, 8, 3))
    original = keras.Model(inputs, Stubborn(1)(keras.layers.Conv2D(2, 3)(inputs)), name="net")
    chosen = choose_precision(original_network(original), IMAGES, pool=True, wanted="bfloat16")
    assert chosen.network is original
    assert (chosen.precision, chosen.error) == ("original", 0.0)
    assert [message.partition(" (")[0] for message in messages] == [
        "net cannot run in bfloat16",
        "net cannot run in float32",
    ]


def test_the_error_is_infinite_if_features_are_not_finite() -> None:
    assert relative_error(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == float("inf")


def test_the_error_is_relative_to_the_norm() -> None:
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
