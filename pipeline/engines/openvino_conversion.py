"""Convert functions of TensorFlow to OpenVINO models."""

from __future__ import annotations

from typing import Any

from pipeline.engines.openvino_package import openvino


def convert(function: Any) -> openvino.Model:
    """Return a model with the outputs of a concrete function, in their order.

    OpenVINO also makes an output of each tensor that nothing uses, such as those of custom
    gradients. They are left out.

    Raises:
        Exception: any exception of an operation that OpenVINO cannot convert.
    """
    model = openvino.convert_model(function)
    results = [model.output(tensor.name).get_node() for tensor in function.outputs]
    return openvino.Model(results, model.get_parameters())
