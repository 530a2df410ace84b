"""What a run logs, as plain values: they wait in memory, or in a file until they can be sent."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.atomic_files import atomic_write
from pipeline.errors import TrackingError
from pipeline.tracking.mlflow_writer import OutboxItem, write_item
from pipeline.tracking.store import error_summary, outbox_directory
from pipeline.tracking.trial_runs import TrialRun

ITEMS = "items.json"


def metrics_body(values: Mapping[str, float], step: int) -> dict[str, Any]:
    """Return the body of an item of metrics, with the current time as their timestamp."""
    return {"values": _metric_names(values), "step": step, "timestamp": int(time.time() * 1000)}


def trial_body(trial: TrialRun) -> dict[str, Any]:
    """Return the body of an item of the run of a trial."""
    rows = [_metric_names(row) for row in trial.rows]
    return {**asdict(trial), "metrics": _metric_names(trial.metrics), "rows": rows}


def write_outbox(items: list[OutboxItem], *, directory: Path, run_id: str, uri: str) -> None:
    """Write items that could not be sent to the outbox of a run."""
    content = {
        "about": "Logs of an MLflow run that could not be sent. Upload them with: "
        f"pipeline sync {shlex.quote(str(directory))}",
        "run_id": run_id,
        "tracking_uri": uri,
        "items": [asdict(item) for item in items],
    }
    atomic_write(directory / ITEMS, json.dumps(content, indent=1).encode())


def read_outbox(directory: Path) -> tuple[str, str, list[OutboxItem]]:
    """Return the run id, the tracking URI and the items of an outbox.

    Raises:
        ValueError: if the file is not one that `write_outbox` wrote.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads((directory / ITEMS).read_text(encoding="utf-8"))
        items = [OutboxItem(item["kind"], item["body"]) for item in content["items"]]
        return content["run_id"], content["tracking_uri"], items
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from None


def upload_outbox(directory: Path, client: Any) -> int:
    """Send what an earlier run left in its outbox, and remove the outbox.

    Args:
        directory: the outbox.
        client: an MlflowClient.

    Returns:
        The number of items sent.

    Raises:
        ValueError, OSError: if there is no outbox that can be read.
        TrackingError: if an item cannot be sent; it and those after it stay in the outbox.
    """
    run_id, uri, items = read_outbox(directory)
    for index, item in enumerate(items):
        try:
            write_item(item, client, run_id, directory)
        except Exception as error:
            write_outbox(items[index:], directory=directory, run_id=run_id, uri=uri)
            raise TrackingError(
                f"{uri} does not accept the logs in {directory}: {error_summary(error)} "
                "What could not be sent stays there."
            ) from None
    shutil.rmtree(directory)
    return len(items)


def upload_leftovers(run_id: str, client: Any) -> None:
    """Send what an earlier session of a run left in its outbox, if there is one.

    Raises:
        TrackingError: if it cannot be sent.
    """
    directory = outbox_directory(run_id)
    if (directory / ITEMS).exists():
        upload_outbox(directory, client)


def _metric_names(values: Mapping[str, float]) -> dict[str, float]:
    """Replace what MLflow does not allow in a metric's name, as in a class called C++, with _."""
    return {re.sub(r"[^/\w.\- :]", "_", name): value for name, value in values.items()}
