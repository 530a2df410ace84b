"""OpenVINO, on the CPU."""

from __future__ import annotations

import functools
import importlib

import numpy as np

from pipeline.engines.engine import Compile, Precision
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph
from pipeline.engines.kept_networks import convert_once
from pipeline.engines.openvino_conversion import pooled
from pipeline.engines.openvino_package import openvino
from pipeline.engines.openvino_runtime import OpenVinoGraph


def compiler(graph: FrozenGraph) -> Compile:
    """Return a function that compiles a graph in a precision, converted at most once."""

    @functools.cache
    def converted() -> openvino.Model:
        return convert_once(graph)

    def compile_graph(
        precision: Precision, calibration: np.ndarray, *, pool: bool
    ) -> CompiledGraph:
        model = converted().clone()
        if pool:
            model = pooled(model)
        if precision == "int8":
            # Imported here because it takes half a second, which other precisions need not wait.
            quantization = importlib.import_module("pipeline.engines.quantization")
            model = quantization.quantize(model, calibration)
        return OpenVinoGraph(model, precision)

    return compile_graph
