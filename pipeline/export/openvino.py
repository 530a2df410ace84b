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
    # Keras's own export leaves in what `convert` leaves out.
    import tensorflow as tf

    from pipeline.engines.openvino_conversion import convert
    from pipeline.engines.openvino_package import openvino
    from pipeline.export.float32_clone import clone_in_float32

    exact = clone_in_float32(model)
    pixels = tf.TensorSpec((None, *model.input_shape[1:]), name=model.input.name)
    function = tf.function(lambda images: exact(images, training=False), input_signature=[pixels])
    converted = convert(function.get_concrete_function())
    converted.inputs[0].tensor.set_names({model.input.name})
    openvino.save_model(converted, path, compress_to_fp16=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    from pipeline.engines.openvino_package import openvino

    # Its default is bfloat16 on processors that support it.
    float32 = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", float32)
    return lambda pixels: compiled(pixels)[0]
