"""A model with its interface: pixels in, probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import keras_files
from pipeline.errors import ModelError
from pipeline.evaluation.metrics import to_probabilities
from pipeline.inference import model_interface as interfaces
from pipeline.inference.model_interface import ModelInterface

if TYPE_CHECKING:
    import keras
    import numpy as np

MODEL_FILE = "model.keras"
BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A trained model, and what it takes and gives.

    Attributes:
        model: takes (n, height, width, channels) in 0..255.
        interface: says how large, and what the outputs are called.
    """

    model: keras.Model
    interface: ModelInterface

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch, float64 (n, classes), rows summing to 1.

        Args:
            pixels: (n, height, width, channels) in 0..255; the model is traced once for each n.
        """
        return to_probabilities(self.model.predict_on_batch(pixels))


def load_classifier(folder: Path) -> Classifier:
    """Load the model and the interface that lie in a folder.

    Raises:
        ModelError: if they cannot be loaded, do not fit each other, or the model holds Python code,
            which is never run.
    """
    interface = interfaces.load_interface(folder)
    path = folder / MODEL_FILE
    model = keras_files.load_keras_file(path)
    expected = (interface.image_shape, len(interface.class_names))
    units = model.output_shape[-1]
    received = (tuple(model.input_shape[1:]), 2 if units == 1 else units)
    if expected != received:
        raise ModelError(
            f"{path} does not fit the {interfaces.FILE} beside it. Expected images of "
            f"{expected[0]} and {expected[1]} classes. Received: {received[0]} and {received[1]}."
        )
    return Classifier(model, interface)
