"""Writing one item to MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking.mlflow_writer import OutboxItem, write_item
from pipeline.tracking.store import open_store

LONG = "x" * 251
TOO_LONG = "'Metric name' exceeds the maximum length of 250 characters."


def new_run() -> tuple[MlflowClient, str]:
    client = open_store(None).client
    return client, client.create_run("0").info.run_id


def test_a_rejected_metric_does_not_drop_the_others_of_its_batch(
    in_empty_folder: Path, messages: list[str]
) -> None:
    client, run_id = new_run()
    accepted = {f"metric_{i}": float(i) for i in range(20)}
    values = {LONG: 1.0, **accepted, "a//b": 2.0}
    item = OutboxItem("metrics", {"values": values, "timestamp": 0, "step": 0})
    write_item(item, client, run_id, Path())
    assert client.get_run(run_id).data.metrics == accepted
    first, second = messages
    assert first == (
        f"WARNING: The tracking store rejected the metric '{LONG}' of the run: {TOO_LONG}"
    )
    assert second.startswith("WARNING: The tracking store rejected the metric 'a//b' of the run: ")


def test_a_rejected_tag_of_a_trial_does_not_drop_the_trial(
    in_empty_folder: Path, messages: list[str]
) -> None:
    client, run_id = new_run()
    body = {
        "kind": "trial",
        "number": 1,
        "name": "trial 1",
        "status": "FINISHED",
        "start": 1.0,
        "end": 2.0,
        "params": {"seed": "1"},
        "tags": {"not allowed!": "x"},
        "metrics": {LONG: 1.0, "loss": 0.5},
        "rows": [],
        "times": [],
        "files": {},
    }
    write_item(OutboxItem("trial", body), client, run_id, Path())
    (trial,) = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert (trial.info.status, trial.data.metrics) == ("FINISHED", {"loss": 0.5})
    assert trial.data.params == {"seed": "1"}
    assert len(messages) == 2


def test_an_error_that_may_pass_is_raised(in_empty_folder: Path) -> None:
    client, _ = new_run()
    item = OutboxItem("tags", {"first": "1"})
    with pytest.raises(Exception, match="not found"):
        write_item(item, client, "0" * 32, Path())
