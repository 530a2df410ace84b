"""Convert functions of TensorFlow to OpenVINO models."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def joined(first: openvino.Model, second: openvino.Model) -> openvino.Model:
    """Return a model of two: the second one's only input is the first one's only output.

    Both are used up.
    """
    (parameter,), (result,) = second.get_parameters(), first.get_results()
    parameter.output(0).replace(result.input_value(0))
    return openvino.Model(second.get_results(), first.get_parameters())


def pooled(model: openvino.Model) -> openvino.Model:
    """Return a model with the outputs (n, rows, columns, channels) averaged to (n, channels)."""
    axes = np.array([1, 2])
    outputs = [result.input_value(0) for result in model.get_results()]
    means = [openvino.opset13.reduce_mean(output, axes) for output in outputs]
    return openvino.Model(means, model.get_parameters())
