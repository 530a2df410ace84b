"""Load a base from a .keras file, without the classifier that it may end in."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import keras_files
from pipeline.errors import ModelError

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

_PROBABILITIES = ("softmax", "sigmoid")


def load_base_file(path: Path, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the network in a file, a functional model with this input shape.

    A classifier at its end is left out: dense layer or convolution, softmax, and what is between.

    Args:
        path: a .keras file.
        input_shape: height, width and channels of the images.

    Raises:
        ModelError: if the file cannot be loaded, takes other images, or has a classifier that
            cannot be left out.
    """
    import keras

    try:
        base = keras_files.load_keras_file(path)
    except ModelError as error:
        raise ModelError(f"model.base: {error}") from None
    shape = base.input_shape  # a list of shapes if the network has several inputs
    expected = tuple(shape[1:]) if isinstance(shape, tuple) else ()
    sides = zip(expected, input_shape, strict=False)
    if len(expected) != 3 or any(side not in (None, actual) for side, actual in sides):
        raise ModelError(
            f"model.base: {path} takes images of shape {expected or shape}. "
            f"Received: {input_shape}. Change data.image_size."
        )
    classifier, features = _classifier(base, path)
    if classifier:
        logger.info(f"model.base: leaving out the classifier of {path}, from '{classifier}' on")
    elif expected == input_shape and not isinstance(base, keras.Sequential):
        return base
    # A functional model with a fixed input size knows all its shapes.
    functional = keras.Model(base.inputs[0], features, name=base.name)
    if not functional.weights:
        raise ModelError(f"model.base: {path} has no weights, apart from a classifier.")
    if expected == input_shape:
        return functional
    sized = keras.models.clone_model(functional, input_tensors=keras.Input(input_shape))
    sized.set_weights(functional.get_weights())
    return sized


def _classifier(network: keras.Model, path: Path) -> tuple[str, Any]:
    """Return the name of the layer where the classifier begins, and the input of this layer.

    Without a classifier, an empty string and the output of the network.
    """
    import keras

    tensor: Any = network.outputs[0]
    gives_probabilities = False
    while True:
        # Keras documents no interface to the operation that a tensor comes from.
        history = tensor._keras_history
        operation = history.operation
        inputs = operation._inbound_nodes[history.node_index].input_tensors
        activation = getattr(getattr(operation, "activation", None), "__name__", "")
        is_softmax = isinstance(operation, keras.layers.Softmax)
        gives_probabilities |= is_softmax or activation in _PROBABILITIES
        is_dense = isinstance(operation, keras.layers.Dense)
        if gives_probabilities and (is_dense or isinstance(operation, keras.layers.Conv2D)):
            return operation.name, inputs[0]
        if is_dense and activation == "linear":  # its softmax is part of the loss
            return operation.name, inputs[0]
        if isinstance(operation, keras.Model) and _classifier(operation, path)[0]:
            raise ModelError(
                f"model.base: {path} ends in the model '{operation.name}', which ends in a "
                "classifier. Save a network without it."
            )
        if not gives_probabilities:
            return "", network.outputs[0]
        if len(inputs) != 1:
            raise ModelError(
                f"model.base: {path} ends in probabilities, but in no dense layer or convolution "
                "that could be left out. Save a network that ends in features."
            )
        tensor = inputs[0]
