"""A fresh process that writes the graph of a saved model and predicts with the model, to verify it.

    python -m pipeline.inference.fresh_process

It imports Keras, then waits for a request on standard input: one JSON line with the directory of a
model, and image files or numbers. It answers with one JSON line once the graph is written, and with
another once these are predicted. Started early, it does not keep the caller waiting for imports.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.errors import ModelError, first_line
from pipeline.inference.batch_prediction import predict
from pipeline.inference.classifier import Classifier, load_classifier
from pipeline.inference.image_classifier import MODEL_FILE

_PACKAGE_PARENT = Path(__file__).parent.parent.parent


class FreshProcess:
    """A process that writes a graph and predicts. It ends when this process does."""

    def __init__(self) -> None:
        path = f"{_PACKAGE_PARENT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],  # -P: import nothing from the working directory
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to this process only
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout

    def request(
        self,
        directory: Path,
        inputs: Sequence[Path] | np.ndarray,
        graph: Path,
        feature_layer: str | None,
    ) -> None:
        """Have the graph of a model written, and examples predicted, without waiting for it.

        Args:
            directory: of the model.
            inputs: the files of images, or numbers, float32 (n, numbers).
            graph: an empty directory, where the graph of the model is written.
            feature_layer: the layer whose output is a second one of the graph; None for none.
        """
        content = {
            "directory": str(directory),
            "inputs": inputs.tolist() if isinstance(inputs, np.ndarray) else list(map(str, inputs)),
            "graph": str(graph),
            "feature_layer": feature_layer,
        }
        request = json.dumps(content)
        with contextlib.suppress(BrokenPipeError):  # whoever waits gets the error
            os.write(self._input.fileno(), f"{request}\n".encode())

    def graph_error(self) -> str:
        """Wait for the graph; return why the model has none, otherwise an empty string.

        Raises:
            ModelError: if the process could not load the model or read a file, or died.
        """
        return str(self._response("graph_error"))

    def outputs(self) -> np.ndarray:
        """Wait for the outputs after the graph, as `Task.outputs` has them, and end the process.

        Raises:
            ModelError: as `graph_error`.
        """
        outputs = np.array(self._response("outputs"), np.float64)
        self.close()
        return outputs

    def _response(self, key: str) -> Any:
        line = self._output.readline()
        response = json.loads(line) if line.endswith(b"\n") else {}
        if key not in response:
            self.close()
            ended = f"The process ended with exit code {self._process.returncode}."
            raise ModelError(response.get("error", ended))
        return response[key]

    def close(self) -> None:
        """Kill the process if it is still running."""
        with self._process:  # closes the pipes, and waits
            self._process.kill()


def main() -> None:
    """Answer one request on standard input."""
    tf.config.set_visible_devices([], "GPU")  # leave the memory of the GPUs to the run
    out = sys.stdout
    sys.stdout = sys.stderr  # Keras must not print into the response
    line = sys.stdin.readline()
    if not line:  # the run ended without a request
        return
    try:
        for response in _responses(json.loads(line)):
            print(json.dumps(response), file=out, flush=True)
    except Exception as error:
        failure = {"error": f"{type(error).__name__}: {first_line(error)}"}
        print(json.dumps(failure), file=out, flush=True)


def _responses(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    classifier = load_classifier(Path(request["directory"]))
    interface, items = classifier.interface, request["inputs"]

    def read(item: Any) -> np.ndarray:
        return interface.read(item) if interface.decoding else np.array(item, np.float32)

    yield {"graph_error": _write_graph(classifier, request, np.stack(list(map(read, items))))}
    rows = []
    for prediction in predict(classifier, items, read):
        if prediction.outputs is None:
            raise ModelError(f"{prediction.item}: {prediction.error}")
        rows.append(prediction.outputs.tolist())
    yield {"outputs": rows}


def _write_graph(classifier: Classifier, request: dict[str, Any], inputs: np.ndarray) -> str:
    """Write the graph of a model; return why that is impossible, otherwise an empty string."""
    if not importlib.util.find_spec("openvino"):
        return "OpenVINO is not installed"
    writer = importlib.import_module(f"{__package__}.graph_writer")
    try:
        writer.write_graph(
            classifier.model,
            Path(request["directory"]) / MODEL_FILE,
            Path(request["graph"]),
            feature_layer=request["feature_layer"],
            images=inputs,
        )
    except Exception as error:  # OpenVINO may not know an operation of the model
        return first_line(error)
    return ""


if __name__ == "__main__":
    main()
