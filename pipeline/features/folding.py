"""A frozen network compiled for inference: normalization folded away, the rest in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Return a network that computes what `network` does in inference mode, faster.

    Each batch normalization whose only input is a linear convolution or dense layer that feeds
    nothing else is folded into that layer's weights (Jacob et al., 2017, section 3.2); others stay.

    Args:
        network: a functional model.
        precision: of weights and computation; layers that scale the input stay in float32.

    Raises:
        Exception: whatever a layer raises that cannot be made again from its configuration.
    """
    norm_after = _foldable(network)
    folded_away = {norm.name for norm in norm_after.values()}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name in norm_after:
            config["use_bias"] = True
        is_layer = isinstance(layer, keras.Layer)  # a bare operation, as in `x + y`, is none
        if is_layer and not isinstance(layer, keras.layers.InputLayer):
            _set_precision(config, layer, precision)
        return type(layer).from_config(config)

    def call(layer: keras.Layer, *arguments: Any, **keywords: Any) -> Any:
        if layer.name in folded_away:
            return arguments[0]
        return layer(*arguments, **keywords)

    clones = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for copy in clones.layers:
        if copy.name in norm_after:
            original = network.get_layer(copy.name)
            copy.set_weights(_folded_weights(original, norm_after[copy.name]))
        elif copy.weights:
            copy.set_weights(network.get_layer(copy.name).get_weights())
    clones.trainable = False
    return clones


def _foldable(network: keras.Model) -> Mapping[str, keras.layers.BatchNormalization]:
    """Return the batch normalization to fold into each layer, by the layer's name."""
    found = {}
    uses = _uses(network)
    for norm in network.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        source = _sole_source(norm)
        if (
            isinstance(source, _FOLDABLE)
            and source.activation is keras.activations.linear
            and getattr(source, "data_format", "channels_last") == "channels_last"
            and norm.axis in (-1, len(norm.output.shape) - 1)
            and uses.get(source.name) == 1
            and uses.get(norm.name, 0) >= 1
        ):
            found[source.name] = norm
    return found


def _sole_source(layer: keras.Layer) -> Any:
    """Return the layer whose output is the only input of `layer`, which is called once."""
    try:
        tensor = layer.input
    except (AttributeError, ValueError):
        return None
    if not isinstance(tensor, keras.KerasTensor):
        return None
    source = tensor._keras_history.operation
    try:
        return source if isinstance(source.output, keras.KerasTensor) else None
    except (AttributeError, ValueError):
        return None


def _uses(network: keras.Model) -> dict[str, int]:
    """Return how often the output of each operation is taken, the network's own output included."""
    counts: dict[str, int] = {}
    taken = [tensor for op in network.operations for tensor in input_tensors(op)]
    for tensor in [*taken, *network.outputs]:
        name = tensor._keras_history.operation.name
        counts[name] = counts.get(name, 0) + 1
    return counts


def input_tensors(operation: Any) -> list[Any]:
    """Return the tensors that an operation of a functional model takes, over all of its calls."""
    return [tensor for node in operation._inbound_nodes for tensor in node.arguments.keras_tensors]


def _set_precision(config: dict[str, Any], layer: keras.Layer, precision: FeatureDtype) -> None:
    if isinstance(layer, _ALWAYS_FLOAT32):
        return
    config["dtype"] = precision
    if isinstance(layer, keras.Sequential):
        configs = config["layers"][-len(layer.layers) :]  # an input layer may come first
        for inner, inner_config in zip(layer.layers, configs, strict=True):
            _set_precision(inner_config["config"], inner, precision)


def _folded_weights(layer: Any, norm: Any) -> list[np.ndarray]:
    """Return the weights of `layer` with `norm` folded in: kernels, then the bias."""
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
