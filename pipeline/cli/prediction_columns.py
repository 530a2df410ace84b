"""The columns of the table that `pipeline predict` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction
    from pipeline.inference.model_interface import ModelInterface


@dataclass(frozen=True)
class PredictionColumns:
    """The columns between the file and the error.

    Attributes:
        interface: of the model.
        top: the number of classes for each image.
        threshold: the lowest probability in a prediction set; None for no such column.
        views: of each image, whose outputs were averaged.
    """

    interface: ModelInterface
    top: int
    threshold: float | None
    views: int = 1

    @property
    def names(self) -> list[str]:
        task = TASKS[self.interface.task]
        names = task.table_columns(self.interface.class_names, top=self.top)
        names += [] if self.threshold is None else ["prediction_set"]
        names += ["distance", "unknown"] if self.interface.distance else []
        return names + (["views"] if self.views > 1 else [])

    def cells(self, prediction: Prediction[Any]) -> list[str]:
        """Return the cells of an image, which are empty if it could not be read."""
        if prediction.outputs is None:
            return [""] * len(self.names)
        class_names, task = self.interface.class_names, TASKS[self.interface.task]
        cells = task.table_cells(
            prediction.outputs, self.interface.threshold_array, class_names, top=self.top
        )
        if self.threshold is not None:
            cells.append("|".join(prediction.prediction_set(class_names, self.threshold)))
        if self.interface.distance:
            cells += [f"{prediction.distance:.6f}", str(bool(prediction.is_unknown)).lower()]
        return cells + ([str(self.views)] if self.views > 1 else [])
