"""Pictures of models of one or two numbers: decision boundaries, functions and hidden units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from pipeline.data.splits import ArrayImages, Splits
from pipeline.evaluation import plane_figures
from pipeline.evaluation.plane_figures import Region, region_around
from pipeline.stages.train_model import TrainedModel

_MAX_POINTS = 500
_MAX_SNAPSHOTS = 7
_MAX_LAYERS = 2
_MAX_CLASSES = 4  # of those that an example may have several of


def draw_input_pictures(splits: Splits, trained: TrainedModel) -> dict[str, Any]:
    """Return Matplotlib figures of what a model computes where its examples are, by title.

    Args:
        splits: the examples.
        trained: the model; only that of one or two numbers, which has snapshots, has figures.
    """
    snapshots = trained.snapshots
    if snapshots is None:
        return {}
    region = input_region(splits)
    inputs = ArrayImages(region.inputs)
    chosen = np.arange(min(len(splits.train), _MAX_POINTS))
    points, labels = splits.train.images.read(chosen), splits.train.labels[chosen]
    by_epoch = dict(sorted(snapshots.outputs.items())[-_MAX_SNAPSHOTS:])
    units = {f"epoch {epoch}": outputs for epoch, outputs in by_epoch.items()}
    outputs = {name: splits.task.outputs(each, inputs) for name, each in units.items()}
    outputs[_final_title(trained)] = splits.task.outputs(snapshots.compute(), inputs)
    figures: dict[str, Any] = {}
    if splits.class_names and len(region.low) == 2 and not splits.task.IS_EXCLUSIVE:
        for k, name in enumerate(splits.class_names[:_MAX_CLASSES]):
            shares = {
                title: np.stack([1 - p[:, k], p[:, k]], axis=1) for title, p in outputs.items()
            }
            figures[f"Decision boundary of class {k + 1}"] = plane_figures.plot_decision_regions(
                region, shares, points, labels[:, k].astype(int), (f"not {name}", name)
            )
    elif splits.class_names and len(region.low) == 2:
        figures["Decision boundary"] = plane_figures.plot_decision_regions(
            region, outputs, points, labels, splits.class_names
        )
    elif not splits.class_names and len(region.low) == 1:
        values = {name: each[:, 0] for name, each in outputs.items()}
        figures["Function"] = plane_figures.plot_function(region, values, points, labels)
    hidden = _hidden_activations(trained.model, region)
    if hidden:
        figures["Hidden units"] = plane_figures.plot_units(region, hidden)
    return figures


def snapshot_inputs(splits: Splits) -> np.ndarray | None:
    """Return the inputs that figures show, float32 (n, d); None where there are none."""
    if len(splits.feature_names or ()) in (1, 2):
        return input_region(splits).inputs
    return None


def input_region(splits: Splits) -> Region:
    """Return the region around the training examples, of one or two numbers."""
    points = splits.train.images.read(np.arange(len(splits.train)))
    return region_around(points, splits.feature_names or ())


def _final_title(trained: TrainedModel) -> str:
    epoch = trained.history.best_epoch or len(trained.history.rows)
    return f"epoch {epoch}: this model"


def _hidden_activations(model: keras.Model, region: Region) -> Mapping[str, np.ndarray]:
    """Return what the units of the first hidden layers compute, (n, units), by their layer."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][:-1]
    found = {}
    for number, layer in enumerate(dense[:_MAX_LAYERS], start=1):
        part = keras.Model(model.input, layer.output)
        found[f"layer {number}"] = np.asarray(part(region.inputs, training=False), np.float32)
    return found
