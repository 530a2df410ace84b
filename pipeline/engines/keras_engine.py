"""The network as Keras runs it, in float32: what the other engines are compared with."""

from __future__ import annotations

import numpy as np

from pipeline.engines.engine import Compile, Precision
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph, TracedGraph


def compiler(graph: FrozenGraph) -> Compile:
    """Return a function that compiles a graph."""

    def compile_graph(
        precision: Precision, calibration: np.ndarray, *, pool: bool
    ) -> CompiledGraph:
        return TracedGraph(graph, graph.network, pool=pool)

    return compile_graph
