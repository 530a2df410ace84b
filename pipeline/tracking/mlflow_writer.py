"""Writes what a run logs to MLflow, one item at a time; an item may be written twice."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow import entities
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from pipeline.tracking.store import error_summary
from pipeline.tracking.trial_runs import find_trial_run

logger = logging.getLogger(__name__)

_MAX_TAG = 5000  # characters


Kind = Literal[
    "metrics",
    "params",
    "tags",
    "dataset",
    "input_model",
    "artifacts",
    "model",
    "model_files",
    "trial",
    "status",
]


@dataclass(frozen=True)
class OutboxItem:
    """One thing to be logged.

    Attributes:
        kind: what it is.
        body: its content, as JSON can hold it; artifacts and models name a directory.
    """

    kind: Kind
    body: dict[str, Any]


def written_together(items: Iterable[OutboxItem]) -> list[OutboxItem]:
    """Return the first item, and those after it that are written in the same call: metrics."""
    first, *others = items
    if not _is_plain(first):
        return [first]
    return [first, *itertools.takewhile(_is_plain, others)]


def _is_plain(item: OutboxItem) -> bool:
    """Return whether an item is metrics of the run alone, such as those of an epoch."""
    return item.kind == "metrics" and "dataset" not in item.body


def write_items(items: Sequence[OutboxItem], client: Any, run_id: str, directory: Path) -> None:
    """Write what `written_together` returned, as `write_item` does: a call takes milliseconds."""
    if len(items) == 1:
        write_item(items[0], client, run_id, directory)
        return
    bodies = [item.body for item in items]
    metrics = [_metrics(body["values"], body["timestamp"], body["step"]) for body in bodies]
    _write_values(client, run_id, metrics=list(itertools.chain.from_iterable(metrics)))


def write_item(item: OutboxItem, client: Any, run_id: str, directory: Path) -> None:
    """Write an item.

    What the store rejects, such as a metric with an invalid name, is left out with a warning: it
    would reject it again.

    Args:
        item: what to write.
        client: an MlflowClient.
        run_id: the run that the item belongs to.
        directory: contains the item's files.
    """
    kind, body = item.kind, item.body
    try:
        if kind == "metrics":
            measured = _measured(body, client, run_id)
            metrics = _metrics(body["values"], body["timestamp"], body["step"], **measured)
            _write_values(client, run_id, metrics=metrics)
        elif kind == "params":
            _write_values(client, run_id, params=_params(body))
        elif kind == "tags":
            _write_values(client, run_id, tags=_tags(body))
        elif kind == "dataset":
            _write_dataset(body, client, run_id)
        elif kind == "input_model":
            client.log_inputs(run_id, models=[entities.LoggedModelInput(body["model_id"])])
        elif kind == "artifacts":
            client.log_artifacts(run_id, str(directory / body["directory"]))
        elif kind == "model":
            _write_model(directory / body["directory"], client, run_id)
        elif kind == "model_files":
            logged = _logged_model(client, run_id)
            client.log_model_artifacts(logged.model_id, str(directory / body["directory"]))
        elif kind == "trial":
            _write_trial(body, client, run_id)
        else:
            client.set_terminated(run_id, status=body["status"], end_time=body["end_time"])
    except MlflowException as error:
        if not _is_rejection(error):
            raise
        logger.warning(f"The tracking store rejected the {kind} of the run: {error_summary(error)}")


def _write_values(
    client: Any,
    run_id: str,
    *,
    metrics: Sequence[Metric] = (),
    params: Sequence[Param] = (),
    tags: Sequence[RunTag] = (),
) -> None:
    """Write values, except those that the store rejects."""
    # `MlflowClient.log_batch` splits what is more than a store takes at once.
    _write_accepted("metric", metrics, lambda part: client.log_batch(run_id, metrics=part))
    _write_accepted("parameter", params, lambda part: client.log_batch(run_id, params=part))
    _write_accepted("tag", tags, lambda part: client.log_batch(run_id, tags=part))


def _write_accepted(
    noun: str, values: Sequence[Any], write: Callable[[Sequence[Any]], None]
) -> None:
    """Write values; the store rejects all of a batch for one, so halve it to find that one."""
    if not values:
        return
    try:
        write(values)
    except MlflowException as error:
        if not _is_rejection(error):
            raise
        if len(values) == 1:
            logger.warning(
                f"The tracking store rejected the {noun} '{values[0].key}' of the run: "
                f"{error_summary(error)}"
            )
            return
        middle = len(values) // 2
        _write_accepted(noun, values[:middle], write)
        _write_accepted(noun, values[middle:], write)


def _is_rejection(error: MlflowException) -> bool:
    """Return whether the store would reject the same again."""
    return str(error.error_code) == "INVALID_PARAMETER_VALUE"


def _metrics(
    values: Mapping[str, float], timestamp: int, step: int, **measured: str | None
) -> list[Metric]:
    return [Metric(key, value, timestamp, step, **measured) for key, value in values.items()]


def _measured(body: Mapping[str, Any], client: Any, run_id: str) -> dict[str, str | None]:
    """Return which model and dataset metrics belong to, as arguments of `Metric`."""
    if "dataset" not in body:
        return {}
    dataset = body["dataset"] or {}
    return {
        "model_id": body["model_id"] or _model_id(client, run_id),
        "dataset_name": dataset.get("name"),
        "dataset_digest": dataset.get("digest"),
    }


def _model_id(client: Any, run_id: str) -> str | None:
    """Return the id of the model that a run logged, None if it has none."""
    outputs = client.get_run(run_id).outputs
    models = outputs.model_outputs if outputs else []
    return str(models[-1].model_id) if models else None


def _params(values: Mapping[str, str]) -> list[Param]:
    return [Param(key, value) for key, value in values.items()]


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value[:_MAX_TAG]) for key, value in values.items()]


def _write_dataset(body: Mapping[str, Any], client: Any, run_id: str) -> None:
    dataset = body["dataset"]
    entity = entities.Dataset(**{**dataset, "profile": json.dumps(dataset["profile"])})
    context = entities.InputTag("mlflow.data.context", body["context"])
    client.log_inputs(run_id, [entities.DatasetInput(entity, [context])])


def _write_model(directory: Path, client: Any, run_id: str) -> None:
    logged = _logged_model(client, run_id)
    described = Model.load(str(directory / "MLmodel"))
    described.run_id, described.model_id = run_id, logged.model_id
    described.model_uuid, described.artifact_path = logged.model_id, logged.artifact_location
    described.save(str(directory / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(directory))
    client.finalize_logged_model(logged.model_id, "READY")


def _logged_model(client: Any, run_id: str) -> Any:
    """Return the run's logged model: that of an earlier attempt, if there was one."""
    run = client.get_run(run_id)
    experiment = run.info.experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{run_id}'", max_results=1)
    if models:
        logged = models[0]
    else:
        logged = client.create_logged_model(
            experiment, "model", run_id, params=run.data.params, model_type="keras"
        )
    if not run.outputs.model_outputs:
        client.log_outputs(run_id, [entities.LoggedModelOutput(logged.model_id, step=0)])
    return logged


def _write_trial(body: Mapping[str, Any], client: Any, parent_id: str) -> None:
    """Write the run of a trial; one that is there already is completed."""
    parent, end = client.get_run(parent_id), int(body["end"] * 1000)
    run_id = find_trial_run(client, parent, body["number"], body["kind"])
    if run_id is None:
        tags = {
            "mlflow.parentRunId": parent_id,
            "mlflow.source.name": "pipeline",
            body["kind"]: str(body["number"]),
        }
        run_id = client.create_run(
            parent.info.experiment_id,
            start_time=int(body["start"] * 1000),
            run_name=body["name"],
            tags=tags,
        ).info.run_id
    metrics = _metrics(body["metrics"], end, 0)
    for epoch, (row, ended) in enumerate(zip(body["rows"], body["times"], strict=True), start=1):
        by_epoch = {f"epoch/{name}": value for name, value in row.items()}
        metrics += _metrics(by_epoch, int(ended * 1000), epoch)
    params = _params(body["params"])
    _write_values(client, run_id, metrics=metrics, params=params, tags=_tags(body["tags"]))
    for name, text in body["files"].items():
        client.log_text(run_id, text, name)
    client.set_terminated(run_id, status=body["status"], end_time=end)
