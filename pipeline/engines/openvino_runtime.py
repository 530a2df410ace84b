"""Compute an OpenVINO model, without TensorFlow."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engines.engine import Precision
from pipeline.engines.openvino_package import openvino
from pipeline.processor import usable_threads

# Small batches run side by side: one large batch at a time is half as fast.
_BATCH_SIZES = {"float32": 1, "bfloat16": 4, "int8": 4}
_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def read_graph(path: Path, precision: Precision) -> OpenVinoGraph:
    """Read and compile the graph of an .xml file, with its weights in the .bin file beside it.

    Raises:
        RuntimeError: if it is not a graph.
    """
    return OpenVinoGraph(openvino.Core().read_model(path), precision)


def _graph_from(text: str, weights: bytes, precision: Precision) -> OpenVinoGraph:
    """Compile a graph that another process sent."""
    constants = openvino.Tensor(np.frombuffer(weights, np.uint8))
    return OpenVinoGraph(openvino.Core().read_model(text, constants), precision)


class OpenVinoGraph:
    """A graph that OpenVINO computes; several threads may do so at once.

    Images are padded to small batches, which changes no result.

    Attributes:
        input_shape: height, width and channels of an image.
        output_shapes: the shape of each output for one image.
    """

    def __init__(self, model: openvino.Model, precision: Precision) -> None:
        """Compile a model for small batches side by side, on this process's share of the cores.

        Args:
            model: takes one tensor, batches of images (n, height, width, channels).
            precision: to compute in.
        """
        self._model, self._precision = model, precision
        self._size = _BATCH_SIZES[precision]
        model.reshape([self._size, *list(model.input().partial_shape)[1:]])
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
            "INFERENCE_NUM_THREADS": usable_threads(),
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        self.input_shape = tuple(compiled.input().shape)[1:]
        self.output_shapes = [tuple(output.shape)[1:] for output in compiled.outputs]
        self._outputs = range(len(compiled.outputs))
        self._side_by_side = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._new_request = compiled.create_infer_request
        self._idle: list[openvino.InferRequest] = []

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        parts: list[list[np.ndarray]] = []
        for outputs, is_last in self._small_batches(batches):
            parts.append(outputs)
            if is_last:
                yield [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
                parts.clear()

    def __reduce__(self) -> tuple[Callable[..., OpenVinoGraph], tuple[Any, ...]]:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "graph.xml")
            openvino.save_model(self._model, path, compress_to_fp16=False)
            content = path.read_text("utf-8"), path.with_suffix(".bin").read_bytes()
        return _graph_from, (*content, self._precision)

    def _small_batches(
        self, batches: Iterable[np.ndarray]
    ) -> Iterator[tuple[list[np.ndarray], bool]]:
        """Yield the activations of small batches, and whether each is the last one of its batch."""
        running = deque[_Running]()
        try:
            for images in batches:
                for start in range(0, len(images), self._size):
                    if len(running) == self._side_by_side:
                        yield self._outputs_of(running.popleft())
                    part = images[start : start + self._size]
                    request = self._take_request()
                    inputs = request.get_input_tensor().data
                    inputs[: len(part)] = part
                    inputs[len(part) :] = 0
                    request.start_async()
                    is_last = start + self._size >= len(images)
                    running.append(_Running(request, len(part), is_last))
            while running:
                yield self._outputs_of(running.popleft())
        finally:
            for each in running:  # whoever iterates has stopped
                each.request.wait()
                self._idle.append(each.request)

    def _take_request(self) -> openvino.InferRequest:
        """Return a request that no other thread has."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._new_request()

    def _outputs_of(self, running: _Running) -> tuple[list[np.ndarray], bool]:
        running.request.wait()
        tensors = (running.request.get_output_tensor(index) for index in self._outputs)
        outputs = [tensor.data[: running.count].copy() for tensor in tensors]
        self._idle.append(running.request)
        return outputs, running.is_last


@dataclass(frozen=True)
class _Running:
    request: openvino.InferRequest
    count: int
    is_last: bool
