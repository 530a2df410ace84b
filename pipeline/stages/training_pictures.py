"""The figures of the training that a recipe asks for: `training.record`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.console import only_warnings
from pipeline.data.splits import Splits
from pipeline.errors import DivergedError
from pipeline.evaluation.layer_figures import (
    plot_feature_maps,
    plot_filters,
    plot_layers_by_epoch,
    plot_thinned_networks,
)
from pipeline.evaluation.loss_surface import plot_loss_surface
from pipeline.evaluation.report_page import TrainingPicture
from pipeline.even_spacing import evenly_spaced
from pipeline.models import transfer
from pipeline.recipe.grammar import Recipe
from pipeline.stages.thinned_networks import thin_networks
from pipeline.stages.train_model import TrainedModel, train_model
from pipeline.training.layer_records import DEAD_UNITS, GRADIENT_NORM, PARAMETER
from pipeline.training.losses import loss_function
from pipeline.training.optimizers import describe_optimizer
from pipeline.training.phases import History

logger = logging.getLogger(__name__)

_SURFACE_EXAMPLES = 1000
_MAX_LAYERS = 4  # whose feature maps are shown


def training_pictures(
    recipe: Recipe, splits: Splits, trained: TrainedModel
) -> list[TrainingPicture]:
    """Return the figures that the recipe asks for, as far as there is anything to show."""
    record, rows = recipe.training.record, trained.history.rows
    pictures = []
    if "gradients" in record and _has(rows, GRADIENT_NORM):
        pictures.append(
            TrainingPicture(
                "gradient_norms",
                "Gradients by layer",
                "The norm of the gradient of each layer's weights after each epoch, on the same "
                "training examples and without dropout. The first layer is the darkest. Where its "
                "gradient is far smaller than that of the last one, it hardly learns.",
                plot_layers_by_epoch(
                    rows, GRADIENT_NORM, label="norm of the gradient", is_logarithmic=True
                ),
            )
        )
    if "units" in record and _has(rows, DEAD_UNITS):
        pictures.append(
            TrainingPicture(
                "dead_units",
                "Dead units by layer",
                "The share of the rectified units of each layer, or of its feature maps, that are "
                "0 for all of the same training examples. Such a unit does not learn from them.",
                plot_layers_by_epoch(
                    rows, DEAD_UNITS, label="share of dead units", is_logarithmic=False
                ),
            )
        )
    if "surface" in record and _has(rows, PARAMETER):
        pictures.append(_surface(recipe, splits, trained))
    if "dropout" in record:
        pictures += _of_dropout(recipe, splits, trained.model)
    if "filters" in record and splits.are_images:
        pictures += _of_convolutions(trained.model, splits)
    return pictures


def _has(rows: Any, prefix: str) -> bool:
    return any(name.startswith(f"{prefix}/") for row in rows for name in row)


def _surface(recipe: Recipe, splits: Splits, trained: TrainedModel) -> TrainingPicture:
    model, train, encoding = trained.model, splits.train, recipe.label_encoding(splits)
    output = recipe.output_layer(splits)
    loss = loss_function(
        recipe.training.loss,
        label_smoothing=recipe.regularization.label_smoothing,
        scale=output.scale,
    )
    chosen = np.array(evenly_spaced(len(train), at_most=_SURFACE_EXAMPLES))
    inputs = tf.constant(train.images.read(chosen), tf.float32)
    targets = encoding.targets(inputs, encoding.dense(tf.constant(train.labels[chosen])))
    weights = model.trainable_weights
    trained_values = [np.asarray(weight) for weight in weights]

    @tf.function
    def current_loss() -> Any:
        return loss(targets, model(inputs, training=False))

    def assign(values: np.ndarray) -> None:
        ends = np.cumsum([int(np.prod(weight.shape)) for weight in weights])
        for weight, part in zip(weights, np.split(values, ends[:-1]), strict=True):
            weight.assign(np.reshape(part, weight.shape))

    def loss_at(values: np.ndarray) -> float:
        assign(values)
        return float(current_loss())

    paths = {describe_optimizer(recipe.optimizer): _path(trained.history)}
    paths |= _paths_of_others(recipe, splits)
    try:
        figure = plot_loss_surface(loss_at, paths, ("weight", "bias"))
    finally:
        assign(np.concatenate([np.ravel(value) for value in trained_values]))
    return TrainingPicture(
        "loss_surface",
        "Loss surface",
        "The loss of the training examples over the two parameters, and their values at the start "
        "of each epoch. A star marks those of the last epoch.",
        figure,
    )


def _path(history: History) -> np.ndarray:
    return np.array([[row[f"{PARAMETER}/{i}"] for i in (1, 2)] for row in history.rows])


def _paths_of_others(recipe: Recipe, splits: Splits) -> dict[str, np.ndarray]:
    """Return the paths of the same training with other optimizers."""
    paths = {}
    for optimizer in recipe.training.compare_optimizers:
        name = describe_optimizer(optimizer)
        changes = {"compare_optimizers": (), "budget": None}
        training = recipe.training.model_copy(update=changes)
        other = recipe.model_copy(update={"optimizer": optimizer, "training": training})
        try:
            with only_warnings():
                trained = train_model(other, splits, on_epoch=lambda *_: None, show_progress=False)
        except DivergedError as error:
            logger.warning(f"The path of {name} is not drawn. {error}")
        else:
            paths[name] = _path(trained.history)
    return paths


def _of_dropout(recipe: Recipe, splits: Splits, model: keras.Model) -> Iterator[TrainingPicture]:
    networks = thin_networks(recipe, splits, model)
    if networks is None:
        return
    yield TrainingPicture(
        "thinned_networks",
        "Dropout",
        f"{len(networks.of_each)} networks that each lack other units, on examples that were not "
        "trained on if there are any. The network with all units stands for the mean of their "
        "outputs.",
        plot_thinned_networks(
            networks.of_each,
            of_mean=networks.of_mean,
            of_whole=networks.of_whole,
            metric=networks.metric,
        ),
    )


def _of_convolutions(model: keras.Model, splits: Splits) -> Iterator[TrainingPicture]:
    network, prepare = model, None
    bases = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if bases:  # its layers are those of another model
        network = bases[0]
        prepare = keras.Model(model.input, model.get_layer(transfer.PREPARED).output)
    convolutions = [each for each in network.layers if isinstance(each, keras.layers.Conv2D)]
    if not convolutions:
        return
    first = convolutions[0]
    yield TrainingPicture(
        "filters",
        "Filters of the first convolution",
        f"The first {min(32, first.filters)} of {first.filters} filters, each from its lowest "
        "weight to its highest.",
        plot_filters(np.asarray(first.kernel)),
    )
    split = splits.validation or splits.train
    image = split.images.read(np.array([0]))
    shown = [convolutions[i] for i in evenly_spaced(len(convolutions), at_most=_MAX_LAYERS)]
    outputs = keras.Model(network.input, [layer.output for layer in shown])
    inputs = image.astype(np.float32) if prepare is None else prepare(image, training=False)
    maps = keras.tree.flatten(outputs(inputs, training=False))
    numbers = [convolutions.index(layer) + 1 for layer in shown]
    yield TrainingPicture(
        "feature_maps",
        "Feature maps of an image",
        f"What the convolutions make of {split.names[0]}: the first eight maps of some of the "
        f"{len(convolutions)} convolutions.",
        plot_feature_maps(
            image[0],
            {
                f"convolution {number}, {'×'.join(map(str, each.shape[1:]))}": np.asarray(each[0])
                for number, each in zip(numbers, maps, strict=True)
            },
        ),
    )
