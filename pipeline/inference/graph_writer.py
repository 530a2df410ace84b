"""Write the float32 graph of a Keras model, if it gives the same outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engines.openvino_conversion import convert
from pipeline.engines.openvino_package import openvino
from pipeline.engines.openvino_runtime import read_graph
from pipeline.errors import ModelError
from pipeline.file_digests import file_digest
from pipeline.inference.model_graph import (
    GRAPH_FILE,
    MAX_DIFFERENCE,
    WEIGHTS_FILE,
    GraphFacts,
)


def write_graph(
    function: Any,
    model_file: Path,
    directory: Path,
    *,
    feature_layer: str | None,
    images: np.ndarray,
    expected: Callable[[], np.ndarray],
) -> GraphFacts:
    """Write the graph of a model, and what is known of it.

    Args:
        function: the model, as `trace_model` returns it for `feature_layer`.
        model_file: the Keras file of the model.
        directory: where the graph is written.
        feature_layer: the layer whose output is a second output of the graph; None for none.
        images: pixels (n, height, width, channels) to compare the outputs for.
        expected: waits for the outputs of the model for them, (n, units), which may be computed
            while the graph is written.

    Raises:
        ModelError: if the outputs differ by more than rounding.
        Exception: any exception of a layer that OpenVINO cannot convert.
    """
    graph = directory / GRAPH_FILE
    openvino.save_model(convert(function), graph, compress_to_fp16=False)
    files = {GRAPH_FILE: graph, WEIGHTS_FILE: directory / WEIGHTS_FILE, model_file.name: model_file}
    facts = GraphFacts(
        digests={name: file_digest(path) for name, path in files.items()},
        feature_layer=feature_layer,
        images=len(images),
        max_difference=_max_difference(graph, images, expected()),
    )
    facts.save(directory)
    return facts


def _max_difference(graph: Path, images: np.ndarray, expected: np.ndarray) -> float:
    """Return how far the outputs of a graph are from those of a model.

    Numbers above 1 have a difference in relation to the largest of them.

    Raises:
        ModelError: if they differ by more than rounding.
    """
    (outputs,) = read_graph(graph, "float32").run([images.astype(np.float32)])
    scale = max(float(np.abs(expected).max()), 1.0)
    difference = float(np.abs(outputs[0].astype(np.float64) - expected).max()) / scale
    if not difference <= MAX_DIFFERENCE:
        raise ModelError(
            f"OpenVINO's outputs differ from Keras's by {difference:.2g}, more than "
            f"{MAX_DIFFERENCE:g}"
        )
    return difference
