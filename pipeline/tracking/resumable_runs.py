"""Finds interrupted and failed runs that can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking.lookup import find_run
from pipeline.tracking.outbox import upload_leftovers
from pipeline.tracking.store import NEWEST_FIRST, Store, checkpoint_directory

LATEST = "latest"


def find_resumable_run(store: Store, run: str, *, experiment: str) -> str:
    """Return the id of a run that can be resumed, after sending what is in its outbox.

    Args:
        store: contains the run.
        run: its id or its name; or `latest`, the newest run of the experiment that can be resumed
            from here.
        experiment: the experiment's name.

    Raises:
        UsageError: if there is no such run, or it is finished.
        TrackingError: if its outbox cannot be sent.
    """
    entity = _latest(store, experiment) if run == LATEST else find_run(store, run)
    run_id: str = entity.info.run_id
    upload_leftovers(run_id, store.client)
    if store.client.get_run(run_id).info.status == "FINISHED":
        raise UsageError(f"Run {run_id} is finished: nothing to resume.")
    directory = checkpoint_directory(run_id)
    if not directory.is_dir():
        raise UsageError(
            f"Cannot resume run {run_id} from here: {directory} does not exist. Resume it in the "
            "working directory where it was started, or start a new run without --resume."
        )
    return run_id


def _latest(store: Store, experiment: str) -> Any:
    entity = store.client.get_experiment_by_name(experiment)
    if entity:
        condition = "attributes.status != 'FINISHED' AND attributes.status != 'RUNNING'"
        ids = [entity.experiment_id]
        for run in store.client.search_runs(ids, condition, order_by=NEWEST_FIRST):
            if checkpoint_directory(run.info.run_id).is_dir():
                return run
    raise UsageError(
        f"Nothing to resume: the experiment '{experiment}' in {store.uri} has no interrupted run "
        f"with checkpoints in {Path.cwd()}."
    )
