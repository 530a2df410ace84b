"""A fresh process that writes the graph of a saved model and predicts with the model, to verify it.

It runs `verification_process`. Started early, it does not keep the caller waiting for imports: it
imports Keras while the caller does. Importing this module loads neither Keras nor NumPy.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backend import set_environment
from pipeline.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

_WORKER = "pipeline.inference.verification_process"
_PACKAGE_PARENT = Path(__file__).parent.parent.parent


class FreshProcess:
    """A process that writes a graph and predicts. It ends when this process does."""

    def __init__(self) -> None:
        set_environment()
        path = f"{_PACKAGE_PARENT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER],  # -P: import nothing from the working directory
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
        inputs: list[Path] | np.ndarray,
        graph: Path,
        *,
        feature_layer: str | None,
        network: str | None,
    ) -> None:
        """Have the graph of a model written, and examples predicted, without waiting for it.

        Args:
            directory: of the model.
            inputs: the files of images, or numbers, float32 (n, numbers).
            graph: an empty directory, where the graph of the model is written.
            feature_layer: the layer whose output is a second one of the graph; None for none.
            network: as `write_graph` takes it.
        """
        content = {
            "directory": str(directory),
            "inputs": list(map(str, inputs)) if isinstance(inputs, list) else inputs.tolist(),
            "graph": str(graph),
            "feature_layer": feature_layer,
            "network": network,
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

    def outputs(self) -> list[Any]:
        """Wait for the outputs after the graph, as `Task.outputs` has them, and end the process.

        Raises:
            ModelError: as `graph_error`.
        """
        outputs: list[Any] = self._response("outputs")
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
