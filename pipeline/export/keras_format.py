"""The .keras format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import keras_files

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE_NAME = "model.keras"
REQUIREMENTS: dict[str, str] = {}


def write(model: keras.Model, path: Path) -> None:
    model.save(path, include_optimizer=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    model = keras_files.load_keras_file(path)
    return lambda pixels: model.predict_on_batch(pixels)
