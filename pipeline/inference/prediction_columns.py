"""The columns of the table that `pipeline predict` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.addresses import is_remote
from pipeline.inference.input_item import InputItem
from pipeline.secrets import mask_credentials
from pipeline.tasks.table_column import CellValue, TableColumn
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction
    from pipeline.inference.model_interface import ModelInterface


def _shown(name: str) -> str:
    """Return the path of a file, or its address without a password."""
    return mask_credentials(name) if is_remote(name) else name


# What says which image, or which row, a prediction is of.
_SOURCES: dict[str, tuple[TableColumn, Callable[[InputItem], CellValue]]] = {
    "file": (TableColumn("file", "string"), lambda item: _shown(item.file)),
    "line": (TableColumn("line", "integer"), lambda item: item.line),
    "image": (TableColumn("image", "string"), lambda item: item.image and _shown(item.image)),
    "key": (TableColumn("key", "string"), lambda item: item.key),
}


@dataclass(frozen=True)
class PredictionColumns:
    """The columns of a table of predictions.

    Attributes:
        interface: of the model.
        sources: names of the first columns, as `source_columns` returns them.
        top: the number of classes for each image.
        threshold: the lowest probability in a prediction set; None for no such column.
        views: of each image, whose outputs were averaged.
    """

    interface: ModelInterface
    sources: tuple[str, ...]
    top: int
    threshold: float | None
    views: int = 1

    def columns(self) -> list[TableColumn]:
        """Return the columns."""
        sources = [_SOURCES[name][0] for name in self.sources]
        return [*sources, *self._answer_columns(), TableColumn("error", "string")]

    def cells(self, prediction: Prediction[InputItem]) -> list[CellValue]:
        """Return the cells of an image; those of its answer are None if it could not be read."""
        sources = [_SOURCES[name][1](prediction.item) for name in self.sources]
        return [*sources, *self._answer_cells(prediction), prediction.error or None]

    def _answer_columns(self) -> list[TableColumn]:
        task = TASKS[self.interface.task]
        columns = task.table_columns(self.interface.class_names, top=self.top)
        if self.threshold is not None:
            columns.append(TableColumn("prediction_set", "strings"))
        if self.interface.distance:
            columns.append(TableColumn("distance", "double", ".6f"))
            columns.append(TableColumn("unknown", "boolean"))
        return columns + ([TableColumn("views", "integer")] if self.views > 1 else [])

    def _answer_cells(self, prediction: Prediction[InputItem]) -> list[CellValue]:
        if prediction.outputs is None:
            return [None] * len(self._answer_columns())
        class_names, task = self.interface.class_names, TASKS[self.interface.task]
        cells = task.table_cells(
            prediction.outputs, self.interface.threshold_array, class_names, top=self.top
        )
        if self.threshold is not None:
            cells.append(list(prediction.prediction_set(class_names, self.threshold)))
        if self.interface.distance:
            cells += [prediction.distance, bool(prediction.is_unknown)]
        return cells + ([self.views] if self.views > 1 else [])
