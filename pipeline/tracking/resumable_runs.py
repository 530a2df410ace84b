"""Finds interrupted and failed runs that can be resumed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking.lookup import LATEST, find_run
from pipeline.tracking.outbox import upload_leftovers
from pipeline.tracking.store import Store, checkpoint_directory

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
    for run in _interrupted(store, entity.experiment_id) if entity else ():
        is_child = "mlflow.parentRunId" in run.data.tags
        if _has_seeds(run.info.run_id) if has_seeds else not is_child:
            return run
    kind = "run of several seeds" if has_seeds else "run with checkpoints"
    raise UsageError(
        f"Nothing to resume: the experiment '{experiment}' in {store.uri} has no interrupted "
        f"{kind} in {Path.cwd()}."
    )


def _interrupted(store: Store, experiment_id: str) -> list[Any]:
    """Return the runs with checkpoints here that were interrupted or failed, the newest first.

    The checkpoints are listed rather than the runs of the store: there are far fewer.
    """
    runs = []
    root = checkpoint_directory("")
    for directory in root.iterdir() if root.is_dir() else ():
        with contextlib.suppress(Exception):  # a run of another store
            runs.append(store.client.get_run(directory.name))
    candidates = [
        run
        for run in runs
        if run.info.experiment_id == experiment_id
        and run.info.lifecycle_stage == "active"
        and run.info.status not in ("FINISHED", "RUNNING")
    ]
    return sorted(candidates, key=lambda run: run.info.start_time, reverse=True)
