"""A fresh process that loads a saved model and predicts, to verify what was saved.

    python -m pipeline.inference.fresh_process

It imports Keras, then waits for a request on standard input: one JSON line with the directory of a
model and image files. It answers with one JSON line of probabilities. Started early, it does not
keep the caller waiting for imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.errors import ModelError, first_line
from pipeline.inference.batch_prediction import predict
from pipeline.inference.classifier import load_classifier

_PACKAGE_PARENT = Path(__file__).parent.parent.parent


class FreshProcess:
    """A process that loads a saved model and predicts. It ends when this process does."""

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

    def request(self, directory: Path, files: Sequence[Path]) -> None:
        """Have the model in a directory predict image files, without waiting for the result."""
        request = json.dumps({"directory": str(directory), "files": [str(path) for path in files]})
        with contextlib.suppress(BrokenPipeError):  # `result` raises the error
            os.write(self._input.fileno(), f"{request}\n".encode())

    def result(self) -> np.ndarray:
        """Wait for the probabilities, float64 (n, classes), and end the process.

        Raises:
            ModelError: if the process could not load the model or read a file, or died.
        """
        line = self._output.readline()
        response = json.loads(line) if line.endswith(b"\n") else {}
        self.close()
        if "probabilities" not in response:
            ended = f"The process ended with exit code {self._process.returncode}."
            raise ModelError(response.get("error", ended))
        return np.array(response["probabilities"], np.float64)

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
        response: dict[str, Any] = {"probabilities": _predict(json.loads(line))}
    except Exception as error:
        response = {"error": f"{type(error).__name__}: {first_line(error)}"}
    print(json.dumps(response), file=out, flush=True)


def _predict(request: dict[str, Any]) -> list[list[float]]:
    classifier = load_classifier(Path(request["directory"]))
    files = [Path(name) for name in request["files"]]
    rows = []
    for prediction in predict(classifier, files, classifier.interface.read):
        if prediction.probabilities is None:
            raise ModelError(f"{prediction.item}: {prediction.error}")
        rows.append(prediction.probabilities.tolist())
    return rows


if __name__ == "__main__":
    main()
