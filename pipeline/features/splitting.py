"""Split a transfer model where training begins: a frozen part and a head."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pipeline.engines.folding import input_tensors, source_of
from pipeline.engines.frozen_graph import FrozenGraph
from pipeline.models import transfer


@dataclass(frozen=True)
class ModelSplit:
    """A model in two parts that share its layers.

    Attributes:
        frozen: raw pixels → the activations at the split; nothing in it is trained.
        head: the activations at the split → outputs.
        index: of the head's first operation in the base; negative where the head starts after it.
    """

    frozen: FrozenGraph
    head: keras.Model
    index: int

    @functools.cached_property
    def digest(self) -> str:
        """Digest of what the frozen part computes."""
        return network_digest(self.frozen.network)


def split_before_head(model: keras.Model) -> ModelSplit:
    """Split a model that `transfer.build` made between its base and its head."""
    features = model.get_layer(transfer.FEATURES)
    return ModelSplit(
        frozen=FrozenGraph(
            prepare=_prepare(model),
            network=transfer.base_of(model),
            pool=isinstance(features, keras.layers.GlobalAveragePooling2D),
        ),
        head=keras.Model(features.output, model.output, name="head"),
        index=-1,
    )


def split_before_layer(model: keras.Model, first: int) -> ModelSplit:
    """Split a model that `transfer.build` made inside its base.

    Args:
        model: the model.
        first: index among the base's operations of the first one that belongs to the head.
    """
    base = transfer.base_of(model)
    trained = base.operations[first:]
    in_head = {id(operation) for operation in trained}
    crossing = {
        id(tensor): tensor
        for operation in trained
        for tensor in input_tensors(operation)
        if id(source_of(tensor)) not in in_head
    }
    tensors = list(crossing.values())
    base_end = keras.Model(tensors, base.output, name=f"{base.name}_end")
    inputs = [keras.Input(tensor.shape[1:]) for tensor in tensors]
    activations = inputs if len(inputs) > 1 else inputs[0]
    x = base_end(activations)
    names = [layer.name for layer in model.layers]
    for layer in model.layers[names.index(transfer.FEATURES) :]:
        x = layer(x)
    return ModelSplit(
        frozen=FrozenGraph(
            prepare=_prepare(model),
            network=keras.Model(base.input, tensors, name=f"{base.name}_start"),
            pool=False,
        ),
        head=keras.Model(activations, x, name="head"),
        index=first,
    )


def _prepare(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, model.get_layer(transfer.PREPARED).output, name="prepare")


def network_digest(network: keras.Model) -> str:
    """Return a digest of what a network computes: its operations, their configuration and weights.

    Names are left out because Keras numbers them within a process.
    """
    digest = hashlib.sha256()
    indices = {operation.name: i for i, operation in enumerate(network.operations)}
    for operation in network.operations:
        config = operation.get_config() if isinstance(operation, keras.Layer) else {}
        sources = [indices.get(source_of(tensor).name) for tensor in input_tensors(operation)]
        description = [type(operation).__name__, _without_names(config), sources]
        digest.update(json.dumps(description, sort_keys=True, default=str).encode())
        for weight in getattr(operation, "weights", ()):
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        names = ("name", "shared_object_id", "input_layers", "output_layers", "inbound_nodes")
        return {key: _without_names(item) for key, item in value.items() if key not in names}
    if isinstance(value, list | tuple):
        return [_without_names(item) for item in value]
    return value
