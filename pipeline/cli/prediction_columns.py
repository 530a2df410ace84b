"""The columns of the table that `pipeline predict` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction


@dataclass(frozen=True)
class PredictionColumns:
    """The columns between the file and the error.

    Attributes:
        class_names: in the order of the probabilities.
        top: the number of classes for each image.
        threshold: the lowest probability in a prediction set; None for no such column.
        has_distance: whether the model measures the distance to the training images.
        has_classes: whether the model predicts any number of classes.
    """

    class_names: Sequence[str]
    top: int
    threshold: float | None
    has_distance: bool
    has_classes: bool

    @property
    def names(self) -> list[str]:
        numbers = range(1, min(self.top, len(self.class_names)) + 1)
        names = ["classes"] if self.has_classes else []
        names += [f"{kind}_{n}" for n in numbers for kind in ("class", "probability")]
        names += [] if self.threshold is None else ["prediction_set"]
        return names + (["distance", "unknown"] if self.has_distance else [])

    def cells(self, prediction: Prediction[Any]) -> list[str]:
        """Return the cells of an image, which are empty if it could not be read."""
        if prediction.error:
            return [""] * len(self.names)
        ranked = prediction.top_classes(self.class_names, self.top)
        cells = ["|".join(prediction.classes or ())] if self.has_classes else []
        cells += [cell for name, value in ranked for cell in (name, f"{value:.6f}")]
        if self.threshold is not None:
            cells.append("|".join(prediction.prediction_set(self.class_names, self.threshold)))
        if self.has_distance:
            cells += [f"{prediction.distance:.6f}", str(bool(prediction.is_unknown)).lower()]
        return cells
