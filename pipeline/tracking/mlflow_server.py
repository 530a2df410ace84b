"""MLflow's servers on localhost, in a process group that ends with this process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import TrackingError
from pipeline.tracking import process_group
from pipeline.tracking.store import Store

HOST = "127.0.0.1"
# The `Host` headers that are accepted. A web page of another host must not reach the server by a
# host name that resolves to this machine.
ALLOWED_HOSTS = ("localhost", HOST)

_SECONDS_TO_START = 60


def free_port(first: int) -> int:
    """Return the first free port from `first` on.

    Raises:
        TrackingError: if a hundred ports in a row are in use.
    """
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise TrackingError(f"No port from {first} to {first + 99} is free. Choose one with --port.")


@contextlib.contextmanager
def serve(arguments: Sequence[str], store: Store, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block runs.

    The server and all its child processes end with the block, and also if this process is killed.

    Args:
        arguments: those of the Python interpreter, without host and port.
        store: the tracking store.
        port: a free port.

    Yields:
        The process of the server, once it answers.

    Raises:
        TrackingError: if it does not start.
    """
    # MLflow starts programs by their names; they lie beside Python, which may not be on the path.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, *arguments, "--host", HOST, "--port", str(port)]
    hosts = [pattern for host in ALLOWED_HOSTS for pattern in (host, f"{host}:*")]
    process = subprocess.Popen(
        [sys.executable, "-m", process_group.__name__, *command],
        env={
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
            **os.environ,
            "PATH": programs,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # would start six more processes
            # Not as an argument, which every user of the machine can read.
            "MLFLOW_TRACKING_URI": store.address,
            "MLFLOW_BACKEND_STORE_URI": store.address,
        },
        stdin=subprocess.PIPE,  # the system closes it when this process ends, in whatever way
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_ready(process, port, command)
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()
        with contextlib.suppress(ProcessLookupError):  # if the group's leader was killed
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, command: Sequence[str]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise TrackingError(f"The MLflow server did not start. To see why, run: {' '.join(command)}")
