"""Starts what a run needs of other processes, while this one imports TensorFlow and Keras."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING

from pipeline.inference.fresh_process import FreshProcess
from pipeline.processor import usable_threads
from pipeline.tracking import early_store

if TYPE_CHECKING:
    from pipeline.recipe.grammar import TrackingConfig


def start(tracking: TrackingConfig) -> Future[FreshProcess] | None:
    """Start to create the local store if it is missing, and then the process that verifies.

    Both at once would keep this process waiting on two cores, and so would one on a single core.

    Returns:
        The process that verifies the model, None if it is not started yet.
    """
    creation = early_store.create_early(tracking.uri)
    if not tracking.verify_model or usable_threads() == 1:
        return None
    executor = ThreadPoolExecutor(1)
    process = executor.submit(_start_after, creation)
    executor.shutdown(wait=False)
    return process


def _start_after(creation: Thread | None) -> FreshProcess:
    if creation:
        creation.join()
    return FreshProcess()
