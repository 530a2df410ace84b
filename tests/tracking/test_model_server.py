"""MLflow's scoring server on a logged model."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.inference import pyfunc_model
from pipeline.tracking import mlflow_server, model_server
from pipeline.tracking.mlflow_server import free_port
from pipeline.tracking.store import open_store
from pipeline.workflows.single_run import RunResult

DOCUMENTATION = Path(__file__).parent.parent.parent / "docs" / "using_models.md"


@pytest.fixture(scope="module")
def server(
    digits_run: RunResult, digits_graph_model: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server of the model of `digits_run`, with its graph, and its port."""
    store, port = open_store(digits_run.tracking_uri), free_port(5700)
    folder, loader = digits_graph_model.parent, pyfunc_model.__name__
    with model_server.serve(folder, store, port, loader=loader) as process:
        yield process, port


@pytest.fixture
def port(server: tuple[subprocess.Popen[bytes], int]) -> int:
    return server[1]


def test_the_request_in_the_documentation_is_answered(
    port: int, digit_files: Path, in_empty_folder: Path
) -> None:
    (request,) = re.findall(
        r"```bash\n(\(printf .*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL
    )
    shutil.copy(digit_files / "003_3.png", "photograph.jpg")
    command = request.replace("127.0.0.1:5001", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    (answer,) = json.loads(done.stdout)["predictions"]
    assert answer["class"] == "3"
    assert answer["error"] == ""


def post(port: int, body: str, **headers: str) -> tuple[int, str]:
    """Send images; return the HTTP status and the body of the answer."""
    headers = {"Content-Type": "application/json", **headers}
    with contextlib.closing(http.client.HTTPConnection(mlflow_server.HOST, port)) as connection:
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def libraries_of(pid: int) -> str:
    """Return the files that a process and its children have mapped."""
    root = Path("/proc", str(pid))
    children = (root / "task" / str(pid) / "children").read_text().split()
    return (root / "maps").read_text() + "".join(libraries_of(int(child)) for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_model_with_a_graph_is_served_without_tensorflow(
    server: tuple[subprocess.Popen[bytes], int],
) -> None:
    libraries = libraries_of(server[0].pid)
    assert "libopenvino_intel_cpu_plugin" in libraries
    assert "libtensorflow" not in libraries


@pytest.mark.parametrize("number", ["1e400", "1" + 400 * "0"], ids=["float", "integer"])
def test_a_number_too_large_for_a_float_is_a_row_with_an_error(
    port: int, digit_files: Path, number: str
) -> None:
    image = base64.b64encode((digit_files / "003_3.png").read_bytes()).decode()
    pixels = json.dumps(np.zeros((8, 8, 1)).tolist()).replace("0.0", number, 1)
    body = f'{{"dataframe_split": {{"columns": ["image"], "data": [["{image}"], [{pixels}]]}}}}'
    status, answer = post(port, body)
    assert status == 200, answer
    first, second = json.loads(answer)["predictions"]
    assert (first["class"], first["error"]) == ("3", "")
    assert second["class"] is None
    assert second["error"].startswith("expected ")


def test_a_foreign_host_header_is_refused(port: int) -> None:
    body = '{"dataframe_split": {"columns": ["image"], "data": [["no image"]]}}'
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "localhost:8080"):
        assert post(port, body, Host=host)[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example"):
        assert post(port, body, Host=host) == (400, "Invalid host header")


def test_a_request_that_is_too_large_is_refused(port: int) -> None:
    status, answer = post(port, "", **{"Content-Length": str(2**27 + 1)})
    assert (status, answer) == (
        413,
        "The request is larger than 134,217,728 bytes. Send fewer images.",
    )
