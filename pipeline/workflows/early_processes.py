"""Starts what a run needs of other processes, while this one imports TensorFlow and Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.inference.fresh_process import FreshProcess
from pipeline.processor import usable_threads
from pipeline.tracking import early_store

if TYPE_CHECKING:
    from pipeline.recipe.grammar import TrackingConfig


def start(tracking: TrackingConfig) -> FreshProcess | None:
    """Start to create the local store if it is missing, otherwise the process that verifies.

    Both together would keep this process waiting on two cores, and so would one on a single core.

    Returns:
        The process that verifies the model, None if it is not started yet.
    """
    if early_store.create_early(tracking.uri):
        return None
    return FreshProcess() if tracking.verify_model and usable_threads() > 1 else None
