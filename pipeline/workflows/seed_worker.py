"""Runs the seeds of a recipe that are given to one process, one after another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.cluster.cluster import UnfitMachineError
from pipeline.errors import DivergedError, PipelineError, UsageError
from pipeline.recipe.loader import LoadedRecipe
from pipeline.stages import resume_checks
from pipeline.tracking.liveness import DIED
from pipeline.tracking.lookup import find_run
from pipeline.tracking.resumable_runs import find_resumable_run
from pipeline.tracking.store import Store, checkpoint_directory, open_store
from pipeline.tracking.trial_runs import find_trial_run
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

logger = logging.getLogger(__name__)

_SEED = "seed"  # the tag of a run with its seed


@dataclass(frozen=True)
class SeedOutcome:
    """What became of a seed.

    Attributes:
        result: of its run, None if it diverged.
        divergence: how it diverged, empty if it did not.
        images: the digest of the images that it was trained on.
    """

    result: RunResult | None
    divergence: str
    images: str


SeedWorker = Callable[[LoadedRecipe], SeedOutcome]


def make_seed_worker(loaded: LoadedRecipe, parent: str) -> SeedWorker:
    """Return the worker of a process, which takes the recipe of a seed.

    Args:
        loaded: the recipe.
        parent: the id of the run that the runs of the seeds are under.

    Raises:
        UnfitMachineError: if this machine does not reach that run.
    """
    store = open_store(loaded.recipe.tracking.uri, loaded.secrets)
    try:
        parent_run = find_run(store, parent)
    except PipelineError:
        raise UnfitMachineError(
            f"The run of the seeds is not in its tracking store, {store.uri}. Set tracking.uri to "
            "a tracking server that all machines reach."
        ) from None
    return partial(_run_seed, loaded, store, parent_run)


def _run_seed(
    loaded: LoadedRecipe, store: Store, parent_run: Any, seeded: LoadedRecipe
) -> SeedOutcome:
    parent: str = parent_run.info.run_id
    directory = checkpoint_directory(parent)
    if not directory.is_dir():  # on another machine than the driver's
        resume_checks.save_origin(directory, loaded)
    known = find_trial_run(store.client, parent_run, seeded.recipe.seed, _SEED)
    try:
        resume = _resumable(store, known) if known else None
        result, divergence = run(seeded, resume=resume, parent=parent), ""
    except DivergedError as error:
        result, divergence = None, str(error)
    return SeedOutcome(result, divergence, resume_checks.known_images(directory))


def _resumable(store: Store, run_id: str) -> str | None:
    """Return the id of a seed's run, None if that has to be run again."""
    if store.client.get_run(run_id).info.status == "RUNNING":
        # Its process is gone, also if it was on another machine: the seed was given to this one.
        store.client.set_tag(run_id, "reason", DIED)
        store.client.set_terminated(run_id, "KILLED")
    try:
        return find_resumable_run(store, run_id, experiment="")
    except UsageError as error:  # it ended, or was interrupted, before that was noted
        logger.warning(f"This seed is run again from its beginning. {error}")
        return None
