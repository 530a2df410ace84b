"""Start a model from the weights of a finished run."""

from __future__ import annotations

import logging
from itertools import zip_longest
from typing import Any

import keras

from pipeline.config import is_run_reference
from pipeline.errors import ModelError
from pipeline.inference.image_classifier import MODEL_FILE
from pipeline.keras_files import load_keras_file
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.tracking.lookup import files_of, find_model
from pipeline.tracking.store import open_store
from pipeline.tracking.stored_model import DATA
from pipeline.training.checkpoints import Checkpoints

logger = logging.getLogger(__name__)

_RUN = "runs:/"


def pin_initial_weights(recipe: Recipe, checkpoints: Checkpoints | None) -> Recipe:
    """Return a recipe that names the run whose weights it starts from by its id.

    Args:
        recipe: the recipe. It stays as it is if it starts from no run.
        checkpoints: of the training, which starts from the same run when it is resumed.

    Raises:
        UsageError: if there is no such run.
    """
    reference = recipe.model.weights
    if not is_run_reference(reference):
        return recipe

    def find() -> str:
        return find_model(open_store(recipe.tracking.uri), str(reference)).run_id

    run = checkpoints.choose_once("initial_run", find) if checkpoints else find()
    model = recipe.model.model_copy(update={"weights": f"{_RUN}{run}"})
    return recipe.model_copy(update={"model": model})


def initial_run(recipe: Recipe) -> str | None:
    """Return the id of the run that a recipe from `pin_initial_weights` starts from, if any."""
    reference = recipe.model.weights
    return str(reference).removeprefix(_RUN) if is_run_reference(reference) else None


def load_initial_weights(model: keras.Model, recipe: Recipe) -> None:
    """Give a model the weights of the run that its recipe names, if it does.

    Of a transfer model they are those of the base, else those of all layers; an output layer of
    other classes keeps its own.

    Args:
        model: as its architecture builds it.
        recipe: of the model.

    Raises:
        ModelError: if the model of the run has other layers.
        UsageError: if there is no such run.
    """
    reference = recipe.model.weights
    if not is_run_reference(reference):
        return
    store = open_store(recipe.tracking.uri)
    stored = find_model(store, str(reference))
    with files_of(store, stored) as directory:
        source = load_keras_file(directory / DATA / MODEL_FILE)
    name = f"run {stored.run_name} ({stored.run_id})"
    if recipe.model.has_base:
        bases = [layer for layer in source.layers if isinstance(layer, keras.Model)]
        if len(bases) != 1:
            raise ModelError(f"model.weights: the model of {name} has no base.")
        _copy(transfer.base_of(model), bases[0], name, ends_in_output=False)
    else:
        _copy(model, source, name, ends_in_output=True)
    logger.info(f"Starting from the weights of {name}")


def _copy(target: keras.Model, source: keras.Model, name: str, *, ends_in_output: bool) -> None:
    layers, others = _layers_with_weights(target), _layers_with_weights(source)
    shapes, other_shapes = ([_shapes(layer) for layer in each] for each in (layers, others))
    last = len(layers) - 1
    for i, (shape, other) in enumerate(zip_longest(shapes, other_shapes)):
        if shape != other and not (ends_in_output and i == last == len(others) - 1):
            raise ModelError(
                f"model.weights: the model of {name} does not have the layers of this recipe. "
                f"Layer {i + 1} with weights: expected the shapes {_describe(shape)}. Received: "
                f"{_describe(other)}. Only the output layer may differ."
            )
    for layer, other, shape, other_shape in zip(layers, others, shapes, other_shapes, strict=True):
        if shape == other_shape:
            layer.set_weights(other.get_weights())
        else:
            logger.info(f"The output layer is new: {name} has {other_shape[-1][-1]} units there")


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _describe(shapes: list[tuple[int, ...]] | None) -> str:
    return ", ".join(map(str, shapes)) if shapes else "no such layer"


def _layers_with_weights(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]
