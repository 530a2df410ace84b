"""How many images were predicted, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction
    from pipeline.inference.input_item import InputItem


@dataclass
class PredictionCounts:
    """Counts of predictions.

    Attributes:
        rows: images, or rows of tables of numbers.
        errors: those that could not be read.
        unknown: those that are probably of none of the classes.
    """

    rows: int = 0
    errors: int = 0
    unknown: int = 0

    def add(self, other: PredictionCounts) -> None:
        """Add the counts of other predictions."""
        self.rows += other.rows
        self.errors += other.errors
        self.unknown += other.unknown

    def counted(
        self, predictions: Iterable[Prediction[InputItem]]
    ) -> Iterator[Prediction[InputItem]]:
        """Yield predictions, and count each."""
        for prediction in predictions:
            self.rows += 1
            self.errors += bool(prediction.error)
            self.unknown += bool(prediction.is_unknown)
            yield prediction
