"""Dropout seen from the test: networks without some of their units, and the one with all of them.

Dropout trains many thinned networks that share weights; at test time one network with all units,
whose weights are scaled, stands for the mean of them (Srivastava et al., 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from pipeline.data.splits import Split, Splits
from pipeline.even_spacing import evenly_spaced
from pipeline.recipe.grammar import Recipe

_NETWORKS = 100
_EXAMPLES = 500


@dataclass(frozen=True)
class ThinnedNetworks:
    """How well networks without some of their units do, by the metric of the learning curves.

    Attributes:
        metric: its name.
        of_each: float (networks,).
        of_mean: of the mean of their outputs.
        of_whole: of the network with all units.
    """

    metric: str
    of_each: np.ndarray
    of_mean: float
    of_whole: float


def thin_networks(recipe: Recipe, splits: Splits, model: keras.Model) -> ThinnedNetworks | None:
    """Evaluate thinned networks on validation examples, or on training ones without any.

    Returns:
        None for a model without dropout, or with batch normalization, which also behaves otherwise
        in training.
    """
    layers = model.layers
    if not any(isinstance(layer, keras.layers.Dropout) and layer.rate for layer in layers):
        return None
    if any(isinstance(each, keras.layers.BatchNormalization | keras.Model) for each in layers):
        return None
    split = splits.validation or splits.train
    shown = np.array(evenly_spaced(len(split), at_most=_EXAMPLES))
    inputs = split.images.read(shown)
    thinned = keras.models.clone_model(model, clone_function=_with_one_mask)
    thinned.set_weights(model.get_weights())
    outputs = np.stack([np.asarray(thinned(inputs, training=True)) for _ in range(_NETWORKS)])
    whole = np.asarray(model(inputs, training=False))
    part = split.subset(shown)
    return ThinnedNetworks(
        recipe.task.CURVE,
        np.array([_metric(recipe, splits, part, each) for each in outputs]),
        _metric(recipe, splits, part, outputs.mean(axis=0)),
        _metric(recipe, splits, part, whole),
    )


def _with_one_mask(layer: keras.Layer) -> keras.Layer:
    """Return a copy of a layer; dropout drops the same units of all examples of a batch."""
    if not isinstance(layer, keras.layers.Dropout):
        return layer.__class__.from_config(layer.get_config())
    noise_shape = (1, *layer.input.shape[1:])
    return keras.layers.Dropout(layer.rate, noise_shape=noise_shape, name=layer.name)


def _metric(recipe: Recipe, splits: Splits, part: Split, units: np.ndarray) -> float:
    task, names = recipe.task, splits.class_names
    outputs = task.outputs(units, part.images)
    thresholds = task.choose_thresholds(len(names), lambda: (part.labels, outputs))
    value = task.metric(task.CURVE, part.labels, outputs, thresholds, names)
    return np.nan if value is None else value
