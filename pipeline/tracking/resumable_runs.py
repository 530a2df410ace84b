"""Runs that ended before they were finished, and can go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking import outbox
from pipeline.tracking.lookup import find_run
from pipeline.tracking.run_logger import send_outbox
from pipeline.tracking.store import Store, checkpoint_directory, outbox_directory

LATEST = "latest"


def find_resumable_run(store: Store, wanted: str, *, experiment: str) -> str:
    """Return the id of a run that can go on; what it could not send then is sent first.

    Args:
        store: where it is.
        wanted: its id or its name; or `latest`, the last one of the experiment that can go on from
            here.
        experiment: the experiment's name.

    Raises:
        UsageError: if there is none, or it is finished.
        TrackingError: if what it left cannot be sent.
    """
    run = _latest(store, experiment) if wanted == LATEST else find_run(store, wanted)
    run_id: str = run.info.run_id
    left = outbox_directory(run_id)
    if (left / "deliveries.json").exists():
        _, _, waiting = outbox.read_outbox(left / "deliveries.json")
        send_outbox(left, store.client, run_id, waiting)
        run = store.client.get_run(run_id)
    if run.info.status == "FINISHED":
        raise UsageError(f"Run {run_id} is finished: there is nothing to go on with.")
    if not checkpoint_directory(run_id).is_dir():
        raise UsageError(
            f"Run {run_id} cannot go on from here: {checkpoint_directory(run_id)} is missing. A run "
            "goes on in the working folder that it was started in. Start it anew without --resume."
        )
    return run_id


def _latest(store: Store, experiment: str) -> Any:
    found: Any = store.client.get_experiment_by_name(experiment)
    runs = (
        store.client.search_runs(
            [found.experiment_id],
            "attributes.status != 'FINISHED' AND attributes.status != 'RUNNING'",
            order_by=["attributes.start_time DESC"],
        )
        if found
        else []
    )
    for run in runs:
        if checkpoint_directory(run.info.run_id).is_dir():
            return run
    raise UsageError(
        f"No run of the experiment '{experiment}' in {store.uri} was interrupted and can go on "
        f"from {Path.cwd()}."
    )
