"""A trained Keras model with its interface: pixels in, outputs and a distance out."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline import keras_files
from pipeline.errors import ModelError
from pipeline.inference.feature_distance import FeatureReferences, load_references
from pipeline.inference.image_classifier import MODEL_FILE, BatchOutputs, model_outputs
from pipeline.inference.model_interface import INTERFACE_FILE, ModelInterface, load_interface
from pipeline.tasks.tasks import TASKS


@dataclass(frozen=True)
class Classifier:
    """A trained model with its interface.

    Attributes:
        model: maps pixels (n, height, width, channels) in 0..255, or other numbers (n, numbers), to
            outputs (n, units).
        interface: the image size and the class names.
        references: the training images that distances are measured to, if the interface has a
            `distance`; else None.

    Example:
        classifier = load_classifier(Path("exports/digits_lenet/keras"))
        pixels = classifier.interface.read("photograph.jpg")
        classifier.predict(pixels[np.newaxis])
    """

    model: keras.Model
    interface: ModelInterface
    references: FeatureReferences | None = None

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Return the outputs of a batch as `Task.outputs` does, such as float64 (n, classes).

        Args:
            pixels: (n, height, width, channels) in 0..255. Each new n traces the model again.
        """
        return self.batch_outputs(pixels).outputs

    def batch_outputs(self, pixels: np.ndarray) -> BatchOutputs:
        """Return the outputs of a batch and the distances to the training images.

        Args:
            pixels: as `predict` takes them.
        """
        if self.references is None or self.interface.distance is None:
            units = self.model.predict_on_batch(pixels)
            return model_outputs(units, None, pixels, self.interface, None)
        units, features = self._with_features.predict_on_batch(pixels)
        return model_outputs(units, features, pixels, self.interface, self.references)

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[BatchOutputs]:
        """Yield the outputs of each batch and the distances to the training images.

        Args:
            batches: as `predict` takes them. A batch that is smaller than the largest one so
                far is padded, so that it does not trace the model again.
        """
        size = 0
        for pixels in batches:
            size = max(size, len(pixels))
            padded = np.zeros((size, *pixels.shape[1:]), pixels.dtype)
            padded[: len(pixels)] = pixels
            batch = self.batch_outputs(padded)
            distances = batch.distances
            yield BatchOutputs(
                batch.outputs[: len(pixels)],
                None if distances is None else distances[: len(pixels)],
            )

    @functools.cached_property
    def _with_features(self) -> keras.Model:
        """The model with a second output, the features that distances are measured between."""
        assert self.interface.distance
        features = self.model.get_layer(self.interface.distance.layer).output
        return keras.Model(self.model.input, [self.model.output, features])


def load_classifier(directory: Path) -> Classifier:
    """Load a model and its interface from a directory.

    Raises:
        ModelError: if they cannot be loaded or do not match, or if the model contains Python code,
            which is never executed.
    """
    interface = load_interface(directory)
    path = directory / MODEL_FILE
    model = keras_files.load_keras_file(path)
    classes, units = len(interface.class_names), model.output_shape[-1]
    received = tuple(model.input_shape[1:])
    fits = TASKS[interface.task].units_fit(units, classes)
    if received != interface.input_shape or not fits:
        raise ModelError(
            f"{path} does not match {INTERFACE_FILE} in the same directory. Expected inputs of "
            f"shape {interface.input_shape} and outputs for {interface.task} of {classes} classes. "
            f"Received: {received} and {units} outputs. Export the model again with `pipeline "
            "export`."
        )
    return Classifier(model, interface, _references(model, interface, directory))


def _references(
    model: keras.Model, interface: ModelInterface, directory: Path
) -> FeatureReferences | None:
    config = interface.distance
    if config is None:
        return None
    references = load_references(directory, config)
    layers = {layer.name: layer for layer in model.layers}
    expected = (None, references.features.shape[1])
    received = _output_shape(layers.get(config.layer))
    if expected != received:
        raise ModelError(
            f"{directory / MODEL_FILE} does not match {INTERFACE_FILE} in the same directory. "
            f"Expected a layer {config.layer!r} with an output of shape {expected}. Received: "
            f"{received or 'no such layer'}. Run the recipe again."
        )
    return references


def _output_shape(layer: Any) -> tuple[int | None, ...] | None:
    """Return the shape of a layer's only output; None without such a layer."""
    try:
        return tuple(layer.output.shape)
    except (AttributeError, ValueError):  # no such layer, or one that has several outputs
        return None
