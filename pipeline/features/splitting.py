"""Cut a transfer model in two where learning begins: a constant prefix, and the rest."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pipeline.features.folding import input_tensors
from pipeline.features.precision_guard import FrozenNetwork, stock_network
from pipeline.models import transfer


@dataclass(frozen=True)
class ModelSplit:
    """A model in two parts that share its layers.

    Attributes:
        prepare: raw pixels → what the base takes.
        stock: what the base takes → the activations at the cut, all of it frozen.
        pool: whether those activations are averaged over their places before they are kept.
        rest: the activations at the cut → probabilities.
        place: where the cut is, as a number that does not depend on the names of layers.
    """

    prepare: keras.Model
    stock: FrozenNetwork
    pool: bool
    rest: keras.Model
    place: int

    @property
    def prefix(self) -> keras.Model:
        """The network that `stock` is."""
        return self.stock.network

    @functools.cached_property
    def prefix_digest(self) -> str:
        """Digest of what the prefix computes, which is frozen."""
        return network_digest(self.prefix)


def split_before_head(model: keras.Model) -> ModelSplit:
    """Cut a model that `transfer.build` made between its base and its head."""
    base = transfer.base_of(model)
    features = model.get_layer(transfer.FEATURES)
    return ModelSplit(
        prepare=_prepare(model),
        stock=stock_network(base),
        pool=isinstance(features, keras.layers.GlobalAveragePooling2D),
        rest=keras.Model(features.output, model.output, name="head"),
        place=-1,
    )


def split_before_layer(model: keras.Model, first: int) -> ModelSplit:
    """Cut a model that `transfer.build` made inside its base.

    Args:
        model: the model.
        first: the place among the base's operations of the first one of the rest.
    """
    base = transfer.base_of(model)
    operations = base.operations
    late = {id(operation) for operation in operations[first:]}
    crossing: dict[int, Any] = {}
    for operation in operations[first:]:
        for tensor in input_tensors(operation):
            if id(tensor._keras_history.operation) not in late:
                crossing[id(tensor)] = tensor
    tensors = list(crossing.values())
    base_rest = keras.Model(tensors, base.output, name=f"{base.name}_rest")
    inputs = [keras.Input(tensor.shape[1:]) for tensor in tensors]
    taken = inputs if len(inputs) > 1 else inputs[0]
    x = base_rest(taken)
    for layer in _head_layers(model):
        x = layer(x)
    return ModelSplit(
        prepare=_prepare(model),
        stock=stock_network(keras.Model(base.input, tensors, name=f"{base.name}_start")),
        pool=False,
        rest=keras.Model(taken, x, name="rest"),
        place=first,
    )


def _prepare(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, model.get_layer(transfer.PREPARED).output, name="prepare")


def _head_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers after the base, which follow one another in a line."""
    names = [layer.name for layer in model.layers]
    return list(model.layers[names.index(transfer.FEATURES) :])


def network_digest(network: keras.Model) -> str:
    """Return a digest of what a network computes: its operations, their settings and weights.

    Names are left out: they count up within a process.
    """
    digest = hashlib.sha256()
    places = {operation.name: i for i, operation in enumerate(network.operations)}
    for operation in network.operations:
        settings = operation.get_config() if isinstance(operation, keras.Layer) else {}
        sources = [places.get(x._keras_history.operation.name) for x in input_tensors(operation)]
        described = [type(operation).__name__, _without_names(settings), sources]
        digest.update(json.dumps(described, sort_keys=True, default=str).encode())
        for weight in getattr(operation, "weights", ()):
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("name", "shared_object_id", "input_layers", "output_layers", "inbound_nodes")
        return {key: _without_names(v) for key, v in value.items() if key not in dropped}
    if isinstance(value, list | tuple):
        return [_without_names(item) for item in value]
    return value
