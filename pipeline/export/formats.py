"""The table of export formats."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import UsageError
from pipeline.export import keras_format, litert, onnx, openvino, saved_model

if TYPE_CHECKING:
    import keras
    import numpy as np


class ExportFormat(Protocol):
    """The interface of a module that implements a format."""

    FILE_NAME: str
    """The file or directory that `write` writes."""

    REQUIREMENTS: dict[str, str]
    """Packages required besides TensorFlow, by module name."""

    def write(self, model: keras.Model, path: Path) -> None:
        """Export the model."""

    def load(self, path: Path) -> Callable[[np.ndarray], np.ndarray]:
        """Return the exported model as a function that runs on the CPU.

        It maps float32 pixels (n, height, width, channels) in 0..255 to the outputs of the model,
        float32 (n, units).
        """


FORMATS: Mapping[str, ExportFormat] = {
    "keras": keras_format,
    "saved_model": saved_model,
    "onnx": onnx,
    "litert": litert,
    "openvino": openvino,
}


def check_installed(name: str) -> None:
    """Check that the packages of a format are installed.

    Raises:
        UsageError: if one is not.
    """
    packages = FORMATS[name].REQUIREMENTS.items()
    missing = [package for module, package in packages if not importlib.util.find_spec(module)]
    if missing:
        raise UsageError(
            f"The format {name} requires packages that are not installed: {', '.join(missing)}. "
            f"Install them: pip install -c constraints.txt {' '.join(missing)}"
        )
