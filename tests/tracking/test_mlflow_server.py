"""How servers start and end, with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import mlflow_server
from pipeline.tracking.mlflow_server import HOST, free_port
from pipeline.tracking.store import open_store

# A server with a child process; both listen. They ignore SIGTERM if STUBBORN is set.
SERVER = """
import http.server, os, signal, sys
if "STUBBORN" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
port = int(sys.argv[-1]) + (os.fork() == 0)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

# What `pipeline ui` does, with that server.
COMMAND = """
import signal, sys
from pipeline.shutdown import interrupt_on
from pipeline.tracking import mlflow_server
from pipeline.tracking.store import Store
interrupt_on(signal.SIGTERM)
signal.signal(signal.SIGINT, signal.default_int_handler)
port = int(sys.argv[1])
try:
    with mlflow_server.serve(["server.py"], Store("unused", None, None), port) as server:
        print(server.pid, flush=True)
        server.wait()
except KeyboardInterrupt:
    pass
"""


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_port_in_use_is_skipped() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


@pytest.mark.parametrize(
    "ended", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL", "server", "leader"], ids=str.lower
)
def test_however_it_ends_no_process_of_the_server_is_left(
    in_empty_folder: Path, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("server.py").write_text(SERVER)
    if ended == "SIGHUP":
        monkeypatch.setenv("STUBBORN", "1")
    port = free_port(5800)
    command = [sys.executable, "-c", COMMAND, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        leader = int(process.stdout.readline())
        wait_until(lambda: is_listening(port) and is_listening(port + 1))
        if ended == "server":
            (server,) = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
            os.kill(int(server), signal.SIGKILL)
        elif ended == "leader":
            os.kill(leader, signal.SIGKILL)
        else:
            process.send_signal(getattr(signal, ended))
    wait_until(lambda: not is_listening(port) and not is_listening(port + 1))


def test_a_server_that_does_not_start_is_an_error(in_empty_folder: Path) -> None:
    port = free_port(5800)
    with (
        pytest.raises(TrackingError) as failed,
        mlflow_server.serve(["absent.py"], open_store(None), port),
    ):
        pass
    assert str(failed.value) == (
        "The MLflow server did not start. To see why, run: "
        f"{sys.executable} absent.py --host {HOST} --port {port}"
    )
