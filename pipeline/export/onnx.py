"""ONNX, for ONNX Runtime and other runtimes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE_NAME = "model.onnx"
REQUIREMENTS = {"tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"}


def write(model: keras.Model, path: Path) -> None:
    from pipeline.export.float32_clone import clone_in_float32

    with warnings.catch_warnings():
        # NumPy warns because Keras looks up np.object for tf2onnx.
        warnings.simplefilter("ignore", FutureWarning)
        clone_in_float32(model).export(path, format="onnx", verbose=False)
    _remove_unused_inputs(path)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (pixels_input,) = session.get_inputs()
    return lambda pixels: session.run(None, {pixels_input.name: pixels})[0]


def _remove_unused_inputs(path: Path) -> None:
    """Remove graph inputs that tf2onnx leaves behind after constant folding."""
    import onnx

    model = onnx.load(path)
    used = {name for node in model.graph.node for name in node.input}
    for graph_input in list(model.graph.input):
        if graph_input.name not in used:
            model.graph.input.remove(graph_input)
    onnx.save(model, path)
