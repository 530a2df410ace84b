"""TensorFlow, with batch normalization folded into the layers before it."""

from __future__ import annotations

import numpy as np

from pipeline.engines.engine import Compile, Precision
from pipeline.engines.folding import fold_batchnorm
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph, TracedGraph


def compiler(graph: FrozenGraph) -> Compile:
    """Return a function that compiles a graph in a precision."""

    def compile_graph(
        precision: Precision, calibration: np.ndarray, *, pool: bool
    ) -> CompiledGraph:
        assert precision != "int8"
        return TracedGraph(graph, fold_batchnorm(graph.network, precision), pool=pool)

    return compile_graph
