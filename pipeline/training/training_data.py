"""What a model is trained and validated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from pipeline.training.graph_steps import GraphBatches


@dataclass(frozen=True)
class TrainingData:
    """The data that a model is fitted to.

    Attributes:
        training: a function of (first epoch, end epoch) that returns the batches of these epochs,
            one epoch after another, as `pipeline.data.batches.training_batches` does.
        validation: the batches of one pass over the validation images; None without them.
        steps_per_epoch: the number of training batches in an epoch.
        keeps_validation: whether the validation batches are kept in memory, and read only once.
        graph: the same training batches for a compiled function that reads them itself; used where
            one device trains. None if the images are not in memory.
    """

    training: Callable[[int, int], tf.data.Dataset]
    validation: tf.data.Dataset | None
    steps_per_epoch: int
    keeps_validation: bool = False
    graph: GraphBatches | None = None
