"""The MLflow UI on the tracking store."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from pipeline.tracking import tracking_ui
from pipeline.tracking.mlflow_server import free_port
from pipeline.tracking.store import experiment_id, newest_run, open_store


def test_it_serves_the_store_with_the_address_of_the_newest_run(in_empty_folder: Path) -> None:
    store = open_store(None)
    run = store.client.create_run(experiment_id(store, "ants"), run_name="a run")
    port = free_port(5600)
    with tracking_ui.serve(store, port):
        address = tracking_ui.address(port, newest_run(store))
        assert address == (
            f"http://127.0.0.1:{port}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        )
        api = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={run.info.run_id}"
        with urllib.request.urlopen(api) as answer:
            assert b"a run" in answer.read()
