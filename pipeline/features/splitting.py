"""Split a transfer model where training begins: a frozen part and a head."""

from __future__ import annotations

from dataclasses import dataclass

import keras

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
