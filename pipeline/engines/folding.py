"""Fold batch normalization into the layers before it, to run a frozen network faster."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import keras
import numpy as np

FeatureDtype = Literal["float32", "bfloat16"]

_FOLDABLE = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
# Raw pixels lose too much in bfloat16's eight bits.
_ALWAYS_FLOAT32 = (keras.layers.Normalization, keras.layers.Rescaling)


def fold_batchnorm(network: keras.Model, precision: FeatureDtype) -> keras.Model:
    """Return a faster copy of `network` for inference.

    Each batch normalization whose only input is a linear convolution or dense layer that feeds
    nothing else is folded into that layer's weights (Jacob et al., 2017, section 3.2).

    Args:
        network: a functional model.
        precision: of weights and computation; layers that scale the input stay in float32.

    Raises:
        Exception: any exception of a layer that cannot be created from its configuration.
    """
    norm_after = _foldable(network)
    folded_away = {norm.name for norm in norm_after.values()}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name in norm_after:
            config["use_bias"] = True
        is_layer = isinstance(layer, keras.Layer)  # `x + y` is an operation, but no layer
        if is_layer and not isinstance(layer, keras.layers.InputLayer):
            _set_precision(config, layer, precision)
        return type(layer).from_config(config)

    def call(layer: keras.Layer, *arguments: Any, **keywords: Any) -> Any:
        if layer.name in folded_away:
            return arguments[0]
        return layer(*arguments, **keywords)

    folded = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if layer.name in norm_after:
            original = network.get_layer(layer.name)
            layer.set_weights(_folded_weights(original, norm_after[layer.name]))
        elif layer.weights:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    folded.trainable = False
    return folded


def _foldable(network: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """Return the batch normalization to fold into each layer, by the layer's name."""
    norm_after = {}
    uses = _count_uses(network)
    for norm in network.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        inputs = input_tensors(norm)
        source = source_of(inputs[0]) if len(inputs) == 1 else None
        if (
            isinstance(source, _FOLDABLE)
            and source.activation is keras.activations.linear
            and getattr(source, "data_format", "channels_last") == "channels_last"
            and norm.axis in (-1, len(norm.output.shape) - 1)
            and uses[source.name] == 1
            and uses[norm.name]
        ):
            norm_after[source.name] = norm
    return norm_after


def _count_uses(network: keras.Model) -> Counter[str]:
    """Return how often each operation's output is used, also as an output of the network."""
    inputs = [tensor for operation in network.operations for tensor in input_tensors(operation)]
    return Counter(source_of(tensor).name for tensor in [*inputs, *network.outputs])


# Keras documents `input` and `output` of operations that are called once, but no interface to the
# graph of operations that are called more often, which a base from a file may have.
def input_tensors(operation: Any) -> list[Any]:
    """Return the inputs of an operation of a functional model in all of its calls."""
    return [tensor for node in operation._inbound_nodes for tensor in node.arguments.keras_tensors]


def source_of(tensor: Any) -> Any:
    """Return the operation whose output a tensor of a functional model is."""
    return tensor._keras_history.operation


def _set_precision(config: dict[str, Any], layer: keras.Layer, precision: FeatureDtype) -> None:
    if isinstance(layer, _ALWAYS_FLOAT32):
        return
    config["dtype"] = precision
    if isinstance(layer, keras.Sequential):
        configs = config["layers"][-len(layer.layers) :]  # an input layer may come first
        for inner, inner_config in zip(layer.layers, configs, strict=True):
            _set_precision(inner_config["config"], inner, precision)


def _folded_weights(layer: Any, norm: Any) -> list[np.ndarray]:
    """Return the kernels and the bias of `layer` with `norm` folded in."""
    weights = [np.asarray(weight, np.float32) for weight in layer.get_weights()]
    kernels, bias = (weights[:-1], weights[-1]) if layer.use_bias else (weights, np.float32(0))
    mean, variance = (np.asarray(value) for value in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma)
    shift = np.asarray(norm.beta) if norm.center else np.float32(0)
    last = kernels[-1]
    # A depthwise kernel is (height, width, channels, multiplier), its outputs ordered likewise.
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    last = last * (scale.reshape(last.shape[-2:]) if is_depthwise else scale)
    return [*kernels[:-1], last, (bias - mean) * scale + shift]
