"""MLflow's own scoring server on a logged model."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.tracking import mlflow_server
from pipeline.tracking.mlflow_model import check_no_foreign_code
from pipeline.tracking.store import Store


def start(folder: Path, store: Store, port: int, *, loader: str) -> subprocess.Popen[bytes]:
    """Serve the model in a folder and return the server's process once it answers.

    It takes what MLflow's scoring protocol says at `/invocations`, in this process's environment.

    Args:
        folder: the files of an MLflow model.
        store: the store that the model is in.
        port: a free port.
        loader: the module that may load it.

    Raises:
        ModelError: if the model would be loaded by anything else.
        TrackingError: if the server does not come up.
    """
    check_no_foreign_code(folder, loader=loader)
    arguments = ["models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
    return mlflow_server.start([*arguments, "--workers", "1"], store, port)


def address(port: int) -> str:
    """Return where images are sent to."""
    return f"http://{mlflow_server.HOST}:{port}/invocations"
