"""The table of formats."""

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


class Format(Protocol):
    """What a format's module holds."""

    FILE: str
    """What it writes, by name."""

    NEEDS: dict[str, str]
    """The packages it needs besides Keras and TensorFlow, by the names they are imported by."""

    def write(self, model: keras.Model, path: Path) -> None:
        """Write the model."""

    def load(self, path: Path) -> Callable[[np.ndarray], np.ndarray]:
        """Return what was written as a function.

        It takes float32 pixels (n, height, width, channels) in 0..255 and returns what the model
        does, float32 (n, units). It runs on the CPU.
        """


FORMATS: Mapping[str, Format] = {
    "keras": keras_format,
    "saved_model": saved_model,
    "onnx": onnx,
    "litert": litert,
    "openvino": openvino,
}


def check_installed(name: str) -> None:
    """Check that what a format needs is installed.

    Raises:
        UsageError: if a package is absent; it says how to install it.
    """
    needs = FORMATS[name].NEEDS
    absent = [package for module, package in needs.items() if not importlib.util.find_spec(module)]
    if absent:
        raise UsageError(
            f"The format {name} needs what is not installed: {', '.join(absent)}. Install the "
            f"extra '{name}' of this package: pip install -c constraints.txt -e '.[{name}]'"
        )
