"""OpenVINO, on the CPU."""

from __future__ import annotations

import functools
import importlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino

from pipeline.engines.engine import Compile, Precision, usable_threads
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph, trace

# Small batches run side by side: one large batch at a time is half as fast.
_BATCH_SIZE = 4
_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def compiler(graph: FrozenGraph) -> Compile:
    """Return a function that compiles a graph in a precision; the graph is converted once."""

    @functools.cache
    def converted() -> openvino.Model:
        function: Any = trace(graph, graph.network)
        return openvino.convert_model(function.get_concrete_function())

    def compile_graph(precision: Precision, calibration: np.ndarray) -> CompiledGraph:
        model = converted().clone()
        if precision == "int8":
            # Imported here because it takes half a second, which other precisions need not wait.
            quantization = importlib.import_module("pipeline.engines.quantization")
            model = quantization.quantize(model, calibration)
        model.reshape([_BATCH_SIZE, *graph.input_shape])
        return OpenVinoGraph(compile_model(model, precision))

    return compile_graph


def compile_model(model: openvino.Model, precision: Precision) -> openvino.CompiledModel:
    """Compile a model for many small batches side by side, on this process's share of the cores."""
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": usable_threads(),
    }
    return openvino.Core().compile_model(model, "CPU", settings)


class OpenVinoGraph:
    """A graph that OpenVINO computes.

    Images are padded to small batches, which changes no result.
    """

    def __init__(self, model: openvino.CompiledModel) -> None:
        """Create as many requests as run side by side."""
        self._outputs = range(len(model.outputs))
        count = model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [model.create_infer_request() for _ in range(count)]

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        parts: list[list[np.ndarray]] = []
        for outputs, is_last in self._small_batches(batches):
            parts.append(outputs)
            if is_last:
                yield [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
                parts.clear()

    def _small_batches(
        self, batches: Iterable[np.ndarray]
    ) -> Iterator[tuple[list[np.ndarray], bool]]:
        """Yield the activations of small batches, and whether each is the last one of its batch."""
        idle, running = deque(self._requests), deque[_Running]()
        try:
            for images in batches:
                for start in range(0, len(images), _BATCH_SIZE):
                    if not idle:
                        first = running.popleft()
                        yield self._outputs_of(first)
                        idle.append(first.request)
                    part = images[start : start + _BATCH_SIZE]
                    request = idle.popleft()
                    padding = ((0, _BATCH_SIZE - len(part)), (0, 0), (0, 0), (0, 0))
                    request.set_input_tensor(openvino.Tensor(np.pad(part, padding)))
                    request.start_async()
                    is_last = start + _BATCH_SIZE >= len(images)
                    running.append(_Running(request, len(part), is_last))
            while running:
                yield self._outputs_of(running.popleft())
        finally:
            for each in running:  # whoever iterates has stopped
                each.request.wait()

    def _outputs_of(self, running: _Running) -> tuple[list[np.ndarray], bool]:
        running.request.wait()
        tensors = (running.request.get_output_tensor(index) for index in self._outputs)
        return [tensor.data[: running.count].copy() for tensor in tensors], running.is_last


@dataclass(frozen=True)
class _Running:
    request: openvino.InferRequest
    count: int
    is_last: bool
