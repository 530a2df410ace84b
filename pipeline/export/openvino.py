"""OpenVINO, for Intel processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

FILE_NAME = "model.xml"  # with the weights in model.bin
REQUIREMENTS = {"openvino": "openvino"}


def write(model: keras.Model, path: Path) -> None:
    import pipeline.engines.openvino_package  # noqa: F401, before Keras imports OpenVINO
    from pipeline.export.float32_clone import clone_in_float32

    clone_in_float32(model).export(str(path), format="openvino", verbose=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    from pipeline.engines.openvino_package import openvino

    # Its default is bfloat16 on processors that support it.
    float32 = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", float32)
    return lambda pixels: compiled(pixels)[0]
