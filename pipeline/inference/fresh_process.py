"""A process that has never seen a model before it loads it: what the saved model says by itself.

    python -m pipeline.inference.fresh_process

It imports Keras and waits for one line on standard input, the folder of a model and image files,
which it answers with one line, their probabilities. Started early, it has nothing left to import
when it is asked.
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

from pipeline.errors import ModelError
from pipeline.inference import classifier as classifiers
from pipeline.inference.prediction import predict

_PACKAGE_FOLDER = Path(__file__).parent.parent.parent


class FreshProcess:
    """A process that loads a saved model and predicts; it ends when this one does."""

    def __init__(self) -> None:
        path = f"{_PACKAGE_FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],  # -P: nothing is imported from here
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is this process's affair
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout

    def ask(self, folder: Path, files: Sequence[Path]) -> None:
        """Have the model in a folder predict files, without waiting for it."""
        question = json.dumps({"folder": str(folder), "files": [os.fspath(path) for path in files]})
        with contextlib.suppress(BrokenPipeError):  # `answer` says what became of it
            os.write(self._input.fileno(), f"{question}\n".encode())

    def answer(self) -> np.ndarray:
        """Wait for what was asked: probabilities, float64 (n, classes).

        Raises:
            ModelError: if the process could not load the model, read a file, or go on living.
        """
        line = self._output.readline()
        answer = json.loads(line) if line.endswith(b"\n") else {}
        self.end()
        if "probabilities" not in answer:
            reason = answer.get("error") or f"it ended with {self._process.returncode}"
            raise ModelError(reason)
        return np.array(answer["probabilities"], np.float64)

    def end(self) -> None:
        """End the process, whatever it does; once it has ended, nothing happens."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()


def main() -> None:
    """Answer the one question that comes on standard input."""
    tf.config.set_visible_devices([], "GPU")  # the memory of the GPUs is for the run
    out = sys.stdout
    sys.stdout = sys.stderr  # what Keras prints is no answer
    line = sys.stdin.readline()
    if not line:  # the run ended before it came to this
        return
    answer: dict[str, Any]
    try:
        answer = {"probabilities": _predicted(json.loads(line))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
    print(json.dumps(answer), file=out, flush=True)


def _predicted(question: dict[str, Any]) -> list[list[float]]:
    classifier = classifiers.load_classifier(Path(question["folder"]))
    files = [Path(name) for name in question["files"]]
    rows = []
    for prediction in predict(classifier, files, classifier.interface.read):
        if prediction.probabilities is None:
            raise ModelError(f"{prediction.item}: {prediction.error}")
        rows.append(prediction.probabilities.tolist())
    return rows


if __name__ == "__main__":
    main()
