"""The real MLflow UI on the store in use."""

from __future__ import annotations

import subprocess
from typing import Any

from pipeline.tracking import mlflow_server
from pipeline.tracking.store import Store


def address(port: int, run: Any) -> str:
    """Return the address of a run's page, or of the UI's first page where there is no run."""
    base = f"http://{mlflow_server.HOST}:{port}/"
    return f"{base}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" if run else base


def start(store: Store, port: int) -> subprocess.Popen[bytes]:
    """Start the UI and return its process once it answers.

    Raises:
        TrackingError: if it does not come up.
    """
    arguments = ["ui", "--workers", "1"]
    if store.artifacts:
        arguments += ["--default-artifact-root", store.artifacts.as_uri()]
    return mlflow_server.start(arguments, store, port)
