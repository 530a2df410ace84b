"""Compare the outputs of a model's graph with those of the Keras model that it was made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.inference.model_graph import MAX_DIFFERENCE
from pipeline.tasks.task import Task

COMPARED = 32  # images that Keras computes too, where a graph computes them all


@dataclass(frozen=True)
class GraphParity:
    """How far a graph is from Keras.

    Attributes:
        images: whose outputs were compared.
        label_changes: the images for which the graph has another answer.
        max_difference: of two outputs.
    """

    images: int
    label_changes: int
    max_difference: float

    @property
    def is_exact(self) -> bool:
        """Whether all labels are equal, and outputs differ by rounding at most."""
        return self.label_changes == 0 and self.max_difference <= MAX_DIFFERENCE

    @property
    def metrics(self) -> dict[str, float]:
        """The comparison as metrics, `graph/…`."""
        return {
            "graph/compared": float(self.images),
            "graph/max_difference": self.max_difference,
        }

    def __str__(self) -> str:
        return (
            f"on {self.images} examples, {self.label_changes or 'no'} answers differ from Keras's "
            f"and outputs by up to {self.max_difference:.2g}"
        )


def compare_outputs(
    task: Task, thresholds: np.ndarray | None, outputs: np.ndarray, expected: np.ndarray
) -> GraphParity:
    """Compare the outputs of a graph with those of Keras.

    Args:
        task: what is predicted.
        thresholds: of the classes, as `Task.decide` takes them.
        outputs: of the graph, as `Task.outputs` returns them.
        expected: of Keras, for the same images.
    """
    difference = task.difference(outputs, expected, thresholds)
    return GraphParity(len(outputs), difference.changed, difference.largest)
