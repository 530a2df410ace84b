"""A trained model with its interface: pixels in, probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipeline import keras_files
from pipeline.errors import ModelError
from pipeline.evaluation.probabilities import to_probabilities
from pipeline.inference.model_interface import INTERFACE_FILE, ModelInterface, load_interface

MODEL_FILE = "model.keras"
BATCH_SIZE = 64


@dataclass(frozen=True)
class Classifier:
    """A trained model with its interface.

    Attributes:
        model: maps pixels (n, height, width, channels) in 0..255 to probabilities.
        interface: the image size and the class names.

    Example:
        classifier = load_classifier(Path("exports/digits_lenet/keras"))
        pixels = classifier.interface.read("photograph.jpg")
        classifier.probabilities(pixels[np.newaxis])
    """

    model: keras.Model
    interface: ModelInterface

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch, float64 (n, classes), rows summing to 1.

        Args:
            pixels: (n, height, width, channels) in 0..255. Each new n traces the model again.
        """
        return to_probabilities(self.model.predict_on_batch(pixels))


def load_classifier(directory: Path) -> Classifier:
    """Load a model and its interface from a directory.

    Raises:
        ModelError: if they cannot be loaded or do not match, or if the model contains Python code,
            which is never executed.
    """
    interface = load_interface(directory)
    path = directory / MODEL_FILE
    model = keras_files.load_keras_file(path)
    expected = (interface.image_shape, len(interface.class_names))
    units = model.output_shape[-1]
    received = (tuple(model.input_shape[1:]), 2 if units == 1 else units)
    if expected != received:
        raise ModelError(
            f"{path} does not match {INTERFACE_FILE} in the same directory. Expected images of "
            f"shape {expected[0]} and {expected[1]} classes. Received: {received[0]} and "
            f"{received[1]}. Export the model again with `pipeline export`."
        )
    return Classifier(model, interface)
