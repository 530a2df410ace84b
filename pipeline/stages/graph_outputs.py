"""Computes the outputs of a trained model by its float32 graph in OpenVINO.

They are those of Keras up to rounding: both compute some images first, and if a label differs, or
outputs do by more than rounding, Keras computes them all.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.data.batches import batches_at, prefetched
from pipeline.data.splits import ArrayImages, Split, Splits
from pipeline.errors import first_line
from pipeline.even_spacing import evenly_spaced
from pipeline.inference.graph_parity import COMPARED, GraphParity, compare_outputs
from pipeline.inference.model_graph import ModelGraph, read_written_graph

logger = logging.getLogger(__name__)

_BATCH_SIZE = 64
# A second or more of Keras on two cores. Below, Keras is done before the graph is written.
_MIN_MULTIPLICATIONS = 1e11


@dataclass(frozen=True)
class GraphOutputs:
    """A graph whose outputs are those of Keras.

    Attributes:
        graph: of the trained model.
        parity: how far its outputs are from Keras's.
    """

    graph: ModelGraph
    parity: GraphParity

    def outputs(self, split: Split) -> np.ndarray:
        """Return the outputs of the model for the images of a split, float32 (n, units)."""
        return _compute(self.graph, split, np.arange(len(split)), output=0)

    def features(self, split: Split, indices: np.ndarray) -> np.ndarray:
        """Return the features of some images, which the head takes, float32 (n, units).

        Args:
            split: the images.
            indices: int (n,), which of them.
        """
        return _compute(self.graph, split, indices, output=1)


def graph_pays(model: keras.Model, splits: Splits) -> bool:
    """Return whether Keras would compute the evaluated images for longer than the graph takes."""
    images = sum(len(split) for name, split in splits.named().items() if name != "train")
    return images * multiplications(model) >= _MIN_MULTIPLICATIONS


def multiplications(model: keras.Model) -> int:
    """Return about how many multiplications a model needs for an image.

    Each weight of a layer is multiplied once at each position of the layer's output.
    """
    return sum(
        multiplications(layer)
        if isinstance(layer, keras.Model)
        else layer.count_params() * _positions(layer)
        for layer in model.layers
    )


def _positions(layer: keras.Layer) -> int:
    try:
        return math.prod(layer.output.shape[1:-1])
    except (AttributeError, ValueError, TypeError):  # several outputs, or of unknown size
        return 1


def compare_graph(directory: Path, model: keras.Model, splits: Splits) -> GraphOutputs | None:
    """Compare the graph of a trained model with the model; None, and a warning, if they differ.

    Args:
        directory: with the graph.
        model: maps pixels (n, height, width, channels) in 0..255 to outputs (n, units).
        splits: the images, some of which are computed by both.
    """
    _, split = splits.verification
    indices = np.array(evenly_spaced(len(split), at_most=COMPARED))
    pixels = split.images.read(indices)
    expected = np.asarray(model.predict_on_batch(pixels))
    thresholds = splits.task.choose_thresholds(len(splits.class_names), None)
    try:
        graph = read_written_graph(directory)
        outputs = _compute(graph, split, indices, output=0)
        images = ArrayImages(pixels)
        both = (splits.task.outputs(units, images) for units in (outputs, expected))
        parity = compare_outputs(splits.task, thresholds, *both)
    except Exception as error:  # whatever OpenVINO raises
        logger.warning(f"Keras computes the metrics, because OpenVINO fails: {first_line(error)}")
        return None
    if parity.is_exact:
        return GraphOutputs(graph, parity)
    logger.warning(f"Keras computes the metrics, because OpenVINO's differ: {parity}.")
    return None


def _compute(graph: ModelGraph, split: Split, indices: np.ndarray, *, output: int) -> np.ndarray:
    """Return one of a graph's outputs for images of a split, float32 (n, units)."""
    at = tf.data.Dataset.from_tensor_slices(indices).batch(_BATCH_SIZE)
    batches = prefetched(batches_at(at, split.images, split.labels)).as_numpy_iterator()
    pixels: Iterator[np.ndarray] = (images for images, _ in batches)
    return np.concatenate([outputs[output] for outputs in graph.run(pixels)])
