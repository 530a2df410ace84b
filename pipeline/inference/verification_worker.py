"""Writes the graph of a saved model and predicts with the model, in a fresh process.

It tries Keras and OpenVINO out, then waits for a request of `FreshProcess` on standard input: one
JSON line with the directory of a model, and image files or numbers. It answers with one JSON line
once the graph is written, and with another once these are predicted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import first_line
from pipeline.inference.classifier import load_classifier
from pipeline.inference.image_classifier import MODEL_FILE, model_outputs
from pipeline.keras_files import load_keras_file
from pipeline.processor import usable_threads

_GRAPH_WRITER = "pipeline.inference.graph_writer"
_HAS_OPENVINO = importlib.util.find_spec("openvino") is not None


def main() -> None:
    """Answer one request on standard input."""
    tf.config.set_visible_devices([], "GPU")  # leave the memory of the GPUs to the run
    out = sys.stdout
    sys.stdout = sys.stderr  # Keras must not print into the response
    if usable_threads() > 1:
        warm_up()
    line = sys.stdin.readline()
    if not line:  # the run ended without a request
        return
    try:
        for response in _responses(json.loads(line)):
            print(json.dumps(response), file=out, flush=True)
    except Exception as error:
        failure = {"error": f"{type(error).__name__}: {first_line(error)}"}
        print(json.dumps(failure), file=out, flush=True)


def warm_up() -> None:
    """Do for a tiny model what a request needs, so that the libraries have loaded their parts."""
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(1, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    pixels = np.zeros((1, 4, 4, 1), np.float32)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(Exception):
        directory = Path(name)
        model.save(directory / MODEL_FILE)
        loaded = load_keras_file(directory / MODEL_FILE)
        units = _units(loaded, pixels)
        if _HAS_OPENVINO:
            import_module(_GRAPH_WRITER).write_graph(
                loaded,
                directory / MODEL_FILE,
                directory,
                feature_layer=None,
                network=None,
                images=pixels,
                expected=lambda: units,
            )


def _responses(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    classifier = load_classifier(Path(request["directory"]))
    interface, items = classifier.interface, request["inputs"]

    def read(item: Any) -> np.ndarray:
        return interface.read(item) if interface.decoding else np.array(item, np.float32)

    pixels = np.stack(list(map(read, items)))
    with ThreadPoolExecutor(1) as pool:
        units = pool.submit(_units, classifier.model, pixels)
        yield {"graph_error": _write_graph(classifier.model, request, pixels, units.result)}
    yield {"outputs": model_outputs(units.result(), None, pixels, interface, None).outputs.tolist()}


def _units(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a model, float32 (n, units), without tracing it for so few inputs."""
    return np.asarray(tf.cast(model(inputs, training=False), tf.float32))


def _write_graph(
    model: keras.Model,
    request: dict[str, Any],
    inputs: np.ndarray,
    expected: Callable[[], np.ndarray],
) -> str:
    """Write the graph of a model; return why that is impossible, otherwise an empty string."""
    if not _HAS_OPENVINO:
        return "OpenVINO is not installed"
    writer = import_module(_GRAPH_WRITER)
    try:
        writer.write_graph(
            model,
            Path(request["directory"]) / MODEL_FILE,
            Path(request["graph"]),
            feature_layer=request["feature_layer"],
            network=request["network"],
            images=inputs,
            expected=expected,
        )
    except Exception as error:  # OpenVINO may not know an operation of the model
        return first_line(error)
    return ""
