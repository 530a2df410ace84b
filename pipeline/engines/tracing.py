"""Keras models as functions of TensorFlow that OpenVINO can convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def trace(networks: Sequence[keras.Model]) -> Any:
    """Return a concrete function that computes networks in turn, with the weights they have now.

    It reads no variables: OpenVINO's converter takes twice as long where it has to look them up.

    Args:
        networks: the first takes one tensor of any batch size, the others the output of the one
            before, in float32. All are in inference mode.

    Returns:
        A function of float32 inputs that returns the outputs of the last network in a list, in
        float32.
    """
    weights = [
        [
            [tf.convert_to_tensor(variable) for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        ]
        for network in networks
    ]

    def compute(inputs: Any) -> list[Any]:
        outputs: Any = inputs
        for network, (trainable, frozen) in zip(networks, weights, strict=True):
            outputs, _ = network.stateless_call(
                trainable, frozen, tf.cast(outputs, tf.float32), training=False
            )
        return [tf.cast(tensor, tf.float32) for tensor in tf.nest.flatten(outputs)]

    signature = [tf.TensorSpec((None, *networks[0].input_shape[1:]))]
    # Autograph has nothing to convert: Keras's layers are written for graphs.
    return tf.function(compute, input_signature=signature, autograph=False).get_concrete_function()
