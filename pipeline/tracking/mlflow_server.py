"""MLflow's servers, started for this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

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


def start(arguments: Sequence[str], store: Store, port: int) -> subprocess.Popen[bytes]:
    """Start a server of MLflow's command line and return its process once it answers.

    Args:
        arguments: what follows `mlflow`, without host and port.
        store: the store in use.
        port: a free port.

    Raises:
        TrackingError: if it does not come up.
    """
    # MLflow starts programs by their names, which are beside Python, whether on the path or not.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "mlflow", *arguments, "--host", HOST, "--port", str(port)]
    process = subprocess.Popen(
        command,
        env={
            **os.environ,
            "PATH": programs,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Not as an argument, which every user of the machine could read.
            "MLFLOW_TRACKING_URI": store.address,
            "MLFLOW_BACKEND_STORE_URI": store.address,
        },
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
    stop(process)
    raise TrackingError(f"MLflow's server did not start. See what it says: {' '.join(command)}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and wait until it has."""
    process.terminate()
    process.wait()
