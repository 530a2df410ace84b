"""Finds interrupted and failed runs that can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking.lookup import find_run
from pipeline.tracking.outbox import upload_leftovers
from pipeline.tracking.store import NEWEST_FIRST, Store, checkpoint_directory

LATEST = "latest"
SEEDS_FILE = "seeds.json"  # in the directory of a run that has one run per seed under it


def find_resumable_run(store: Store, run: str, *, experiment: str, has_seeds: bool = False) -> str:
    """Return the id of a run that can be resumed, after sending what is in its outbox.

    Args:
        store: contains the run.
        run: its id or its name; or `latest`, the newest run of the experiment that can be resumed
            from here.
        experiment: the experiment's name.
        has_seeds: whether to look for a run with one run per seed under it, instead of a run that
            trains a model.

    Raises:
        UsageError: if there is no such run, it is finished, or it is of the other kind.
        TrackingError: if its outbox cannot be sent.
    """
    entity = _latest(store, experiment, has_seeds) if run == LATEST else find_run(store, run)
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
    if _has_seeds(run_id) and not has_seeds:
        raise UsageError(
            f"Run {run_id} has one run per seed. Resume it with --seeds N, as it was started."
        )
    if has_seeds and not _has_seeds(run_id):
        raise UsageError(f"Run {run_id} has no runs of several seeds. Resume it without --seeds.")
    return run_id


def _has_seeds(run_id: str) -> bool:
    return (checkpoint_directory(run_id) / SEEDS_FILE).exists()


def _latest(store: Store, experiment: str, has_seeds: bool) -> Any:
    entity = store.client.get_experiment_by_name(experiment)
    if entity:
        condition = "attributes.status != 'FINISHED' AND attributes.status != 'RUNNING'"
        ids = [entity.experiment_id]
        for run in store.client.search_runs(ids, condition, order_by=NEWEST_FIRST):
            if not checkpoint_directory(run.info.run_id).is_dir():
                continue
            is_child = "mlflow.parentRunId" in run.data.tags
            if _has_seeds(run.info.run_id) if has_seeds else not is_child:
                return run
    kind = "run of several seeds" if has_seeds else "run with checkpoints"
    raise UsageError(
        f"Nothing to resume: the experiment '{experiment}' in {store.uri} has no interrupted "
        f"{kind} in {Path.cwd()}."
    )
