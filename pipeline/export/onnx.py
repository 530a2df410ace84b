"""ONNX, for ONNX Runtime and the runtimes of other makers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE = "model.onnx"
NEEDS = {"tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"}


def write(model: keras.Model, path: Path) -> None:
    from pipeline.export.float32_clone import clone_in_float32

    with warnings.catch_warnings():
        # Keras looks for np.object, which tf2onnx still expects, and NumPy warns of that.
        warnings.simplefilter("ignore", FutureWarning)
        clone_in_float32(model).export(path, format="onnx", verbose=False)
    _remove_unread_inputs(path)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (pixels_input,) = session.get_inputs()
    return lambda pixels: session.run(None, {pixels_input.name: pixels})[0]


def _remove_unread_inputs(path: Path) -> None:
    """Take out the inputs that tf2onnx leaves where it folded a constant into what follows."""
    import onnx

    model = onnx.load(path)
    read = {name for node in model.graph.node for name in node.input}
    for given in list(model.graph.input):
        if given.name not in read:
            model.graph.input.remove(given)
    onnx.save(model, path)
