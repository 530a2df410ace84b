"""A Keras model as one function of TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def trace_model(model: keras.Model, feature_layer: str | None) -> Any:
    """Return a concrete function of pixels that computes a model with the weights of now.

    It reads no variables: OpenVINO's converter takes several times as long where it has to look
    them up.

    Args:
        model: maps pixels (n, height, width, channels) in 0..255, or numbers (n, numbers), to
            outputs (n, units).
        feature_layer: the layer whose output is a second output; None for none.

    Returns:
        A function of float32 inputs that returns a list of float32 outputs.
    """
    outputs = [model.output]
    if feature_layer:
        outputs.append(model.get_layer(feature_layer).output)
    whole = keras.Model(model.input, outputs)
    trainable = [tf.convert_to_tensor(variable) for variable in whole.trainable_variables]
    frozen = [tf.convert_to_tensor(variable) for variable in whole.non_trainable_variables]

    def compute(pixels: tf.Tensor) -> list[tf.Tensor]:
        tensors, _ = whole.stateless_call(trainable, frozen, pixels, training=False)
        return [tf.cast(tensor, tf.float32) for tensor in tf.nest.flatten(tensors)]

    signature = [tf.TensorSpec((None, *model.input_shape[1:]))]
    # Autograph has nothing to convert: Keras's layers are written for graphs.
    return tf.function(compute, input_signature=signature, autograph=False).get_concrete_function()
