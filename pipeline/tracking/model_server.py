"""MLflow's scoring server for a logged model."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.tracking import mlflow_server, scoring_app
from pipeline.tracking.mlflow_model import check_no_foreign_code
from pipeline.tracking.store import Store


def serve(
    directory: Path, store: Store, port: int, *, loader: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Serve the model in a directory while the block runs.

    The server accepts MLflow's scoring protocol at `/invocations`, in this Python environment.

    Args:
        directory: the files of an MLflow model.
        store: the tracking store of the model.
        port: a free port.
        loader: the module that may load the model.

    Raises:
        ModelError: if another module would load the model.
        TrackingError: if the server does not start.
    """
    check_no_foreign_code(directory, loader=loader)
    return mlflow_server.serve(["-m", scoring_app.__name__, str(directory)], store, port)


def address(port: int) -> str:
    """Return the URL that images are sent to."""
    return f"http://{mlflow_server.HOST}:{port}/invocations"
