"""MLflow's scoring server for a logged model."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.tracking import mlflow_server, scoring_app
from pipeline.tracking.store import Store


def serve(
    directory: Path, store: Store, port: int, *, loader: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Serve the model in a directory while the block runs.

    The server accepts MLflow's scoring protocol at `/invocations`, in this Python environment. It
    runs no code that came with the model.

    Args:
        directory: the files of an MLflow model.
        store: the tracking store of the model.
        port: a free port.
        loader: the module of this package that loads the model.

    Raises:
        TrackingError: if the server does not start.
    """
    arguments = ["-m", scoring_app.__name__, str(directory), "--loader", loader]
    return mlflow_server.serve(arguments, store, port)


def address(port: int) -> str:
    """Return the URL that images are sent to."""
    return f"http://{mlflow_server.HOST}:{port}/invocations"
