"""The guard: a compiled network is used where its features are the stock network's."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from pipeline.features import precision_guard
from pipeline.features.precision_guard import choose_precision, relative_error, stock_network

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)


def network() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.ReLU()(x), name="net")


def test_bfloat16_is_taken_where_it_agrees() -> None:
    said: list[str] = []
    choice = choose_precision(
        stock_network(network()), IMAGES, pool=True, wanted="bfloat16", say=said.append
    )
    assert (choice.precision, said) == ("bfloat16", [])
    assert 0 < choice.error < 0.05


def test_float32_is_taken_where_bfloat16_is_too_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(precision_guard.MAX_ERROR, "bfloat16", 1e-9)
    choice = choose_precision(
        stock_network(network()), IMAGES, pool=True, wanted="bfloat16", say=said.append
    )
    assert (choice.precision, len(said)) == ("float32", 1)
    assert said[0].startswith("net in bfloat16 gives features that are ")
    assert said[0].endswith(" off, more than 1e-09: not used")


def test_a_layer_that_cannot_be_made_again_means_the_stock_network() -> None:
    class Stubborn(keras.layers.Layer):
        def __init__(self, secret: int) -> None:
            super().__init__()
            self.secret = secret

        def call(self, inputs: object) -> object:
            return inputs

    inputs = keras.Input((8, 8, 3))
    stock = keras.Model(inputs, Stubborn(1)(keras.layers.Conv2D(2, 3)(inputs)), name="net")
    said: list[str] = []
    choice = choose_precision(
        stock_network(stock), IMAGES, pool=True, wanted="bfloat16", say=said.append
    )
    assert choice.network is stock
    assert (choice.precision, choice.error) == ("stock", 0.0)
    assert [message.partition(" (")[0] for message in said] == [
        "net cannot be compiled in bfloat16",
        "net cannot be compiled in float32",
    ]


def test_what_is_not_finite_is_infinitely_far_off() -> None:
    assert relative_error(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == float("inf")


def test_the_error_is_a_share_of_the_norm() -> None:
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
