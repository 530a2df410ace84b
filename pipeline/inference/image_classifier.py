"""What classifies images: the graph of a model where it has one, else its Keras model."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.data.splits import ArrayImages
from pipeline.inference.feature_distance import FeatureReferences, load_references
from pipeline.inference.model_graph import ModelGraph, load_graph
from pipeline.inference.model_interface import ModelInterface, load_interface
from pipeline.tasks.tasks import TASKS

MODEL_FILE = "model.keras"
BATCH_SIZE = 64


@dataclass(frozen=True)
class BatchOutputs:
    """What a model computes for a batch.

    Attributes:
        outputs: as `Task.outputs` returns them, such as float64 (n, classes).
        distances: float64 (n,), to the training images; None if the model measures none.
    """

    outputs: np.ndarray
    distances: np.ndarray | None


def model_outputs(
    units: np.ndarray,
    features: np.ndarray | None,
    pixels: np.ndarray,
    interface: ModelInterface,
    references: FeatureReferences | None,
) -> BatchOutputs:
    """Return the outputs and the distances of a batch, for the task of the model.

    Args:
        units: of the model, (n, units).
        features: (n, units); None without `references`.
        pixels: that the model was given.
        interface: of the model.
        references: the training images that distances are measured to; None for none.
    """
    outputs = TASKS[interface.task].outputs(units, ArrayImages(pixels))
    distances = None
    if references is not None and features is not None and interface.distance is not None:
        distances = references.distances(features, interface.distance.neighbors)
    return BatchOutputs(outputs, distances)


class ImageClassifier(Protocol):
    """A model with its interface, whatever computes it."""

    @property
    def interface(self) -> ModelInterface:
        """The image size and the class names."""

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[BatchOutputs]:
        """Yield the outputs of each batch and the distances to the training images.

        Args:
            batches: pixels (n, height, width, channels) in 0..255, or numbers (n, numbers); n may
                vary.
        """


@dataclass(frozen=True)
class GraphClassifier:
    """A model with its interface, computed without TensorFlow.

    Attributes:
        graph: maps pixels to outputs and, with `references`, to features.
        interface: the image size and the class names.
        references: the training images that distances are measured to; None for none.
    """

    graph: ModelGraph
    interface: ModelInterface
    references: FeatureReferences | None

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[BatchOutputs]:
        given: deque[np.ndarray] = deque()

        def remembered() -> Iterator[np.ndarray]:
            for pixels in batches:
                given.append(pixels)
                yield pixels

        for units in self.graph.run(remembered()):
            features = units[1] if self.references else None
            yield model_outputs(
                units[0], features, given.popleft(), self.interface, self.references
            )


def load_image_classifier(directory: Path) -> ImageClassifier:
    """Load a model and its interface by what answers soonest.

    Its graph is used if it is intact and fits the interface. Otherwise it is the Keras model, and
    TensorFlow is imported.

    Raises:
        ModelError: as `load_classifier`.
    """
    interface = load_interface(directory)
    distance = interface.distance
    graph = load_graph(directory, MODEL_FILE, distance.layer if distance else None)
    if graph is not None:
        references = load_references(directory, distance) if distance else None
        if _fits(graph, interface, references):
            return GraphClassifier(graph, interface, references)
    classifier: ImageClassifier = import_module(f"{__package__}.classifier").load_classifier(
        directory
    )
    return classifier


def _fits(
    graph: ModelGraph, interface: ModelInterface, references: FeatureReferences | None
) -> bool:
    units, classes = graph.output_units, len(interface.class_names)
    return (
        graph.input_shape == interface.input_shape
        and TASKS[interface.task].units_fit(units[0], classes)
        and (references is None or units[1] == references.features.shape[1])
    )
