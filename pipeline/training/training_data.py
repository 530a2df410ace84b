"""What a model is trained and validated on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from pipeline.training.graph_steps import GraphBatches


@dataclass(frozen=True)
class TrainingData:
    """The data that a model is fitted to.

    Attributes:
        training: a function of (first epoch, end epoch) that returns the batches of these epochs,
            one epoch after another, as `pipeline.data.batches.training_batches` does.
        validation: the batches of one pass over the validation images: a dataset, or a list where
            they are few; None without them.
        steps_per_epoch: the number of training batches in an epoch.
        graph: the same training batches for a compiled function that reads them itself; used where
            one device trains. None if the images are not in memory.
    """

    training: Callable[[int, int], tf.data.Dataset]
    validation: Iterable[tuple[Any, ...]] | None
    steps_per_epoch: int
    graph: GraphBatches | None = None
