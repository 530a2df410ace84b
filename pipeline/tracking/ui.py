"""The real MLflow UI on the store in use, for this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

from pipeline.errors import TrackingError
from pipeline.tracking.store import Store

HOST = "127.0.0.1"
_SECONDS_TO_START = 60


def free_port(first: int) -> int:
    """Return the first port from `first` on that nothing listens on.

    Raises:
        TrackingError: if a hundred ports in a row are taken.
    """
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise TrackingError(f"No port from {first} to {first + 99} is free. Name one with --port.")


def address(port: int, run: Any) -> str:
    """Return the address of a run's page, or of the UI's first page where there is no run."""
    base = f"http://{HOST}:{port}/"
    return f"{base}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" if run else base


def start(store: Store, port: int) -> subprocess.Popen[bytes]:
    """Start the UI and return its process once it answers.

    Raises:
        TrackingError: if it does not come up.
    """
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store.uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    if store.artifacts:
        command += ["--default-artifact-root", store.artifacts.as_uri()]
    process = subprocess.Popen(
        command,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1):
                return process
        except OSError:
            time.sleep(0.2)
    process.terminate()
    raise TrackingError(f"The MLflow UI did not start. See what it says: {' '.join(command)}")
