"""The interface of a task: all that depends on what is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.config import Finding
from pipeline.models.layers import OutputLayer
from pipeline.tasks.label_encoding import LabelEncoding

if TYPE_CHECKING:
    from pipeline.training.training_config import TrainingConfig


class Task(Protocol):
    """The interface of a module that implements a task.

    `pipeline validate` loads it, and `pipeline predict` does: what it needs for training and
    evaluation, it imports inside functions.
    """

    def problems(self, training: TrainingConfig, classes: int | None) -> Iterator[Finding]:
        """Yield values of the section `training` that the number of classes does not allow.

        Args:
            training: the section.
            classes: their number; None if it is not known yet.
        """

    def output_layer(self, classes: int, loss: Any) -> OutputLayer:
        """Return the output layer of a model.

        Args:
            classes: their number.
            loss: `training.loss`.
        """

    def label_encoding(self, classes: int, output: OutputLayer) -> LabelEncoding:
        """Return how labels become the targets of an output layer.

        Args:
            classes: their number.
            output: what `output_layer` returned.
        """

    def running_metrics(self, classes: int, output: OutputLayer, *, top_k: int | None) -> list[Any]:
        """Return new Keras metrics for each epoch, over the outputs.

        Args:
            classes: their number.
            output: what `output_layer` returned.
            top_k: `training.top_k`.
        """
