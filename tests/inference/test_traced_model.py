"""A Keras model as one function of TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pipeline.inference.traced_model import trace_model


def test_it_computes_a_layer_too_and_reads_no_variables() -> None:
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(200, name="features")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    numbers = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    expected = model(numbers), model.get_layer("features")(numbers)
    function = trace_model(model, "features")
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    for received, tensor in zip(function(tf.constant(numbers)), expected, strict=True):
        np.testing.assert_allclose(received, tensor, atol=1e-6)
    assert [tensor for tensor in function.captured_inputs if tensor.dtype == tf.resource] == []
