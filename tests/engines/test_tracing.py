"""Keras models as one function of TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pipeline.engines.tracing import trace


def test_networks_are_computed_one_after_another_with_the_weights_of_then() -> None:
    inputs, middle = keras.Input((3,)), keras.Input((200,))
    first = keras.Model(inputs, keras.layers.Dense(200)(inputs))
    x = keras.layers.BatchNormalization()(middle)
    second = keras.Model(middle, [keras.layers.Dense(2)(x), x])
    numbers = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = second(first(numbers))
    function = trace([first, second])
    first.set_weights([np.zeros_like(weight) for weight in first.get_weights()])
    for received, tensor in zip(function(tf.constant(numbers)), expected, strict=True):
        np.testing.assert_allclose(received, tensor, atol=1e-6)
    assert [tensor for tensor in function.captured_inputs if tensor.dtype == tf.resource] == []
