"""Predictions for the Python API, shown as a table in a notebook. It loads no library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.html_table import html_table
from pipeline.tasks.tasks import TASKS

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction
    from pipeline.inference.input_item import InputItem
    from pipeline.inference.model_interface import ModelInterface

_MAX_HTML_ROWS = 50
_NOT_SHOWN = ("probabilities",)  # of every class


@dataclass(frozen=True)
class ImagePrediction:
    """The prediction for one image, or for a row of a table.

    Attributes:
        path: the file of the image or of the table.
        answer: what the model answers, by name, such as `class`, `probability` and `probabilities`
            or, for numbers, `value`; empty if the file could not be read.
        error: why the file could not be read; empty if it could.
        prediction_set: the classes that are plausible at the confidence level, the most probable
            first; None without a confidence level.
        distance: to the training images; None if the model measures none.
        is_unknown: whether the distance says that the image is of none of the classes; None if the
            model measures none.
        line: where the row begins in the table, from 1; None for an image.
    """

    path: Path
    answer: Mapping[str, Any]
    error: str
    prediction_set: tuple[str, ...] | None = None
    distance: float | None = None
    is_unknown: bool | None = None
    line: int | None = None

    @property
    def label(self) -> str:
        """The most probable class; empty if there is none."""
        return str(self.answer.get("class", ""))

    @property
    def probability(self) -> float:
        """The probability of that class; NaN if there is none."""
        return float(self.answer.get("probability", math.nan))

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of every class; empty if there is none."""
        return dict(self.answer.get("probabilities", {}))

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that the image is of, the most probable first.

        None for a model that does not predict any number of them.
        """
        return tuple(self.answer["classes"]) if "classes" in self.answer else None

    @property
    def value(self) -> float | None:
        """The number that a model of numbers estimates; None for other models."""
        return self.answer.get("value")


class PredictionTable(tuple[ImagePrediction, ...]):
    """Predictions in the order of the files, shown as a table in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        shown = [name for image in self for name in image.answer if name not in _NOT_SHOWN]
        names = list(dict.fromkeys(shown))
        has_lines = any(image.line is not None for image in self)
        header = ["path", *["line"] * has_lines, *names]
        has_sets = any(image.prediction_set is not None for image in self)
        has_distances = any(image.distance is not None for image in self)
        header += ["prediction set"] * has_sets + ["unknown"] * has_distances + ["error"]
        rows = []
        for image in self[:_MAX_HTML_ROWS]:
            cells = [str(image.path), *[str(image.line)] * has_lines]
            cells += [_cell(image.answer.get(name)) for name in names]
            cells += [", ".join(image.prediction_set or ())] * has_sets
            cells += ["yes" if image.is_unknown else ""] * has_distances
            rows.append([*cells, image.error])
        hidden, unit = len(self) - len(rows), "rows" if has_lines else "images"
        notes = [f"{hidden:,} more {unit} are not shown."] if hidden else []
        return html_table(f"{len(self):,} {unit}", header, rows, notes=notes)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def image_prediction(
    prediction: Prediction[InputItem], interface: ModelInterface, threshold: float | None
) -> ImagePrediction:
    """Return a prediction with what its model answers.

    Args:
        prediction: for an image or a row.
        interface: of the model.
        threshold: the lowest probability in a prediction set; None for no sets.
    """
    names, outputs = interface.class_names, prediction.outputs
    answer: Mapping[str, Any] = {}
    if outputs is not None:
        answer = TASKS[interface.task].answer(outputs, interface.threshold_array, names)
    return ImagePrediction(
        Path(prediction.item.file),
        answer,
        prediction.error,
        None if threshold is None else prediction.prediction_set(names, threshold),
        prediction.distance,
        prediction.is_unknown,
        prediction.item.line,
    )
