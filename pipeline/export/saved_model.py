"""TensorFlow's SavedModel, for TensorFlow Serving and TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE_NAME = "saved_model"
REQUIREMENTS: dict[str, str] = {}


def write(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda pixels: loaded.serve(tf.constant(pixels)).numpy()
