"""What a run sends to the store, as plain values that can wait in a file and be sent later."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
)
from mlflow.models import Model

from pipeline.atomic_files import atomic_write

Kind = Literal["metrics", "parameters", "tags", "dataset", "artifacts", "model", "state"]

_BATCH = 100  # the most parameters or tags that MLflow takes at once


@dataclass(frozen=True)
class OutboxItem:
    """One thing to be sent.

    Attributes:
        kind: what it is.
        body: its content, as JSON can hold it; artifacts and models name a folder.
    """

    kind: Kind
    body: dict[str, Any]


def metrics(values: Mapping[str, float], step: int) -> OutboxItem:
    """Return metrics with the time at which they were true."""
    now = int(time.time() * 1000)
    named = {sanitize_metric_name(name): value for name, value in values.items()}
    return OutboxItem("metrics", {"values": named, "step": step, "timestamp": now})


def sanitize_metric_name(name: str) -> str:
    """Return a metric's name with _ for what MLflow does not take, as in a class called C++."""
    return re.sub(r"[^/\w.\- :]", "_", name)


def send_item(delivery: OutboxItem, *, client: Any, run_id: str, folder: Path) -> None:
    """Send one delivery.

    Args:
        delivery: what to send.
        client: an MlflowClient.
        run_id: the run that it belongs to.
        folder: the folder that its files lie in.
    """
    body = delivery.body
    if delivery.kind == "metrics":
        rows = [
            Metric(key, value, body["timestamp"], body["step"])
            for key, value in body["values"].items()
        ]
        client.log_batch(run_id, metrics=rows)
    elif delivery.kind in ("parameters", "tags"):
        entity, argument = (Param, "params") if delivery.kind == "parameters" else (RunTag, "tags")
        rows = [entity(key, value) for key, value in body.items()]
        for start in range(0, len(rows), _BATCH):
            client.log_batch(run_id, **{argument: rows[start : start + _BATCH]})
    elif delivery.kind == "dataset":
        _send_dataset(body, client, run_id)
    elif delivery.kind == "artifacts":
        client.log_artifacts(run_id, str(folder / body["folder"]))
    elif delivery.kind == "model":
        _send_model(folder / body["folder"], client, run_id)
    else:
        client.set_terminated(run_id, status=body["status"], end_time=body["end_time"])


def write_outbox(deliveries: list[OutboxItem], *, path: Path, run_id: str, uri: str) -> None:
    """Write deliveries that could not be sent to a file that says what they are."""
    content = {
        "what": "Parts of an MLflow run that could not be sent. Send them with: "
        f"pipeline deliver {path.parent}",
        "run_id": run_id,
        "tracking_uri": uri,
        "deliveries": [asdict(delivery) for delivery in deliveries],
    }
    atomic_write(path, json.dumps(content, indent=1).encode())


def read_outbox(path: Path) -> tuple[str, str, list[OutboxItem]]:
    """Return the run id, the tracking URI and the deliveries of a file that `write` wrote.

    Raises:
        ValueError: if it is no such file.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        deliveries = [OutboxItem(item["kind"], item["body"]) for item in content["deliveries"]]
        return content["run_id"], content["tracking_uri"], deliveries
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from None


def _send_dataset(body: dict[str, Any], client: Any, run_id: str) -> None:
    dataset = Dataset(
        name=body["name"],
        digest=body["digest"],
        source_type=body["source_type"],
        source=body["source"],
        profile=json.dumps(body["profile"]),
    )
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, [DatasetInput(dataset, [context])])


def _send_model(folder: Path, client: Any, run_id: str) -> None:
    logged = _logged_model(client, run_id)
    described = Model.load(str(folder / "MLmodel"))
    described.run_id, described.model_id = run_id, logged.model_id
    described.model_uuid, described.artifact_path = logged.model_id, logged.artifact_location
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")


def _logged_model(client: Any, run_id: str) -> Any:
    """Return the run's model: the one that an earlier try has made, if there was one."""
    run = client.get_run(run_id)
    experiment = run.info.experiment_id
    tried = client.search_logged_models([experiment], f"source_run_id = '{run_id}'", max_results=1)
    logged = (
        tried[0]
        if tried
        else client.create_logged_model(
            experiment, name="model", source_run_id=run_id, model_type="keras"
        )
    )
    if not run.outputs.model_outputs:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged
