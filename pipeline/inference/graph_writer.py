"""Write the float32 graph of a Keras model, if it gives the same outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from pipeline.engines.kept_networks import find_network
from pipeline.engines.openvino_conversion import convert, joined
from pipeline.engines.openvino_package import openvino
from pipeline.engines.openvino_runtime import read_graph
from pipeline.engines.tracing import trace
from pipeline.errors import ModelError
from pipeline.file_digests import file_digest
from pipeline.inference.model_graph import (
    GRAPH_FILE,
    MAX_DIFFERENCE,
    WEIGHTS_FILE,
    GraphFacts,
)


def write_graph(
    model: keras.Model,
    model_file: Path,
    directory: Path,
    *,
    feature_layer: str | None,
    network: str | None,
    images: np.ndarray,
    expected: Callable[[], np.ndarray],
) -> GraphFacts:
    """Write the graph of a model, and what is known of it.

    Args:
        model: maps pixels (n, height, width, channels) in 0..255, or numbers (n, numbers), to
            outputs (n, units).
        model_file: the Keras file of the model.
        directory: where the graph is written.
        feature_layer: the layer whose output is a second output of the graph; None for none.
        network: the digest of the network before that layer, as `FrozenGraph` has it, which may
            have been converted and kept; None without one.
        images: pixels (n, height, width, channels) to compare the outputs for.
        expected: waits for the outputs of the model for them, (n, units), which may be computed
            while the graph is written.

    Raises:
        ModelError: if the outputs differ by more than rounding.
        Exception: any exception of a layer that OpenVINO cannot convert.
    """
    graph = directory / GRAPH_FILE
    converted = _converted(model, feature_layer, network)
    openvino.save_model(converted, graph, compress_to_fp16=False)
    files = {GRAPH_FILE: graph, WEIGHTS_FILE: directory / WEIGHTS_FILE, model_file.name: model_file}
    facts = GraphFacts(
        digests={name: file_digest(path) for name, path in files.items()},
        feature_layer=feature_layer,
        images=len(images),
        max_difference=_max_difference(_outputs(graph, images), expected()),
    )
    facts.save(directory)
    return facts


def _converted(
    model: keras.Model, feature_layer: str | None, network: str | None
) -> openvino.Model:
    """Return the graph of a model."""
    if feature_layer is None:
        return convert(trace([model]))
    layer = model.get_layer(feature_layer)
    outputs = [model.output, layer.output]
    if network and (before := find_network(network)):
        return joined(before, convert(trace([keras.Model(layer.input, outputs)])))
    return convert(trace([keras.Model(model.input, outputs)]))


def _outputs(graph: Path, images: np.ndarray) -> np.ndarray:
    """Return the outputs of a written graph, float64 (n, units)."""
    (outputs,) = read_graph(graph, "float32").run([images.astype(np.float32)])
    return outputs[0].astype(np.float64)


def _max_difference(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Return how far the outputs of a graph are from those of a model.

    Numbers above 1 have a difference in relation to the largest of them.

    Raises:
        ModelError: if they differ by more than rounding.
    """
    scale = max(float(np.abs(expected).max()), 1.0)
    difference = float(np.abs(outputs - expected).max()) / scale
    if not difference <= MAX_DIFFERENCE:
        raise ModelError(
            f"OpenVINO's outputs differ from Keras's by {difference:.2g}, more than "
            f"{MAX_DIFFERENCE:g}"
        )
    return difference
