"""The MLflow UI on the tracking store, and its REST API as a tracking store."""

from __future__ import annotations

import contextlib
import http.client
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.tracking import run_logger as run_loggers
from pipeline.tracking import tracking_ui
from pipeline.tracking.mlflow_server import HOST, free_port
from pipeline.tracking.store import Store, experiment_id, newest_run, open_store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, int]]:
    """A store with a running UI, and the UI's port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(tmp_path_factory.mktemp("store"))
        store, port = open_store(None), free_port(5600)
        with tracking_ui.serve(store, port):
            yield store, port


def test_it_serves_the_store_with_the_address_of_the_newest_run(server: tuple[Store, int]) -> None:
    store, port = server
    run = store.client.create_run(experiment_id(store, "bees"), run_name="a run")
    assert tracking_ui.address(port, newest_run(store)) == (
        f"http://127.0.0.1:{port}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    )
    api = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={run.info.run_id}"
    with urllib.request.urlopen(api) as answer:
        assert b"a run" in answer.read()


def status(port: int, path: str, host: str, *, method: str = "GET") -> int:
    """Request a path with a `Host` header; return the HTTP status."""
    with contextlib.closing(http.client.HTTPConnection(HOST, port)) as connection:
        connection.request(method, path, headers={"Host": host})
        return connection.getresponse().status


def test_a_foreign_host_header_is_refused(server: tuple[Store, int]) -> None:
    _, port = server
    for host in (f"{HOST}:{port}", f"localhost:{port}", "localhost:8080", "localhost"):
        assert status(port, "/", host) == 200
    for host in ("evil.example", f"evil.example:{port}", "192.168.0.1", "localhost.evil.example"):
        assert status(port, "/", host) == 403
        assert status(port, "/api/2.0/mlflow/experiments/search", host, method="POST") == 403


def log_very_much(store: Store) -> Any:
    """Log more of everything than a store accepts at once, and return the run."""
    run_logger = run_loggers.start_run(store, experiment="ants", name="a run")
    run_logger.log_params({f"key.{i}": str(i) for i in range(250)})
    run_logger.set_tags({f"key.{i}": str(i) for i in range(250)})
    run_logger.log_metrics({f"metric.{i}": i / 7 for i in range(2500)})
    run_logger.end("FINISHED")
    return MlflowClient(store.address).get_run(run_logger.run_id)


@pytest.mark.parametrize("over_http", [False, True], ids=["database", "server"])
def test_mlflow_splits_what_is_too_much_for_one_request(
    server: tuple[Store, int], over_http: bool
) -> None:
    store, port = server
    run = log_very_much(open_store(f"http://{HOST}:{port}") if over_http else store)
    assert run.data.params.items() == {f"key.{i}": str(i) for i in range(250)}.items()
    assert run.data.tags.items() >= {f"key.{i}": str(i) for i in range(250)}.items()
    assert run.data.metrics == {f"metric.{i}": i / 7 for i in range(2500)}
