"""Layers, compared with TensorFlow's."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pipeline.models.layers import response_normalization


def test_response_normalization_is_tensorflows_with_the_published_constants() -> None:
    maps = np.random.default_rng(0).normal(0, 100, (2, 3, 3, 7)).astype(np.float32)
    inputs = keras.Input(maps.shape[1:])
    result = keras.Model(inputs, response_normalization(inputs))(maps)
    expected = tf.nn.local_response_normalization(maps, 2, bias=2, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(np.asarray(result), expected.numpy(), rtol=1e-5)
