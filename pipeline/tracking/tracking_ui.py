"""The MLflow UI on the tracking store in use."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from typing import Any

from pipeline.tracking import mlflow_server
from pipeline.tracking.store import Store


def address(port: int, run: Any) -> str:
    """Return the URL of a run's page, or of the UI's first page if there is no run."""
    base = f"http://{mlflow_server.HOST}:{port}/"
    return f"{base}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" if run else base


def serve(store: Store, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run the UI while the block runs.

    Raises:
        TrackingError: if it does not start.
    """
    arguments = ["-m", "mlflow", "ui", "--workers", "1"]
    if store.artifacts:
        arguments += ["--default-artifact-root", store.artifacts.as_uri()]
    return mlflow_server.serve(arguments, store, port)
