"""LiteRT, formerly TensorFlow Lite, for mobile and embedded devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE_NAME = "model.tflite"
REQUIREMENTS = {"ai_edge_litert": "ai-edge-litert"}


def write(model: keras.Model, path: Path) -> None:
    from pipeline.export.float32_clone import clone_in_float32

    clone_in_float32(model).export(path, format="litert", verbose=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    (name,) = runner.get_input_details()
    return lambda pixels: next(iter(runner(**{name: pixels}).values()))
