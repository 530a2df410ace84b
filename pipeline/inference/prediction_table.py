"""Predictions for the Python API, shown as a table in a notebook. It loads no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.html_table import html_table

if TYPE_CHECKING:
    from pipeline.inference.batch_prediction import Prediction

_MAX_HTML_ROWS = 50


@dataclass(frozen=True)
class ImagePrediction:
    """The prediction for one image.

    Attributes:
        path: the image file.
        label: the most probable class; empty if the file could not be read.
        probability: of that class.
        probabilities: of every class, the most probable first.
        error: why the file could not be read; empty if it could.
        prediction_set: the classes that are plausible at the confidence level, the most probable
            first; None without a confidence level.
        distance: to the training images; None if the model measures none.
        is_unknown: whether the distance says that the image is of none of the classes; None if the
            model measures none.
        classes: that the image is of, the most probable first, for a model that predicts any number
            of them; otherwise None.
    """

    path: Path
    label: str
    probability: float
    probabilities: dict[str, float]
    error: str
    prediction_set: tuple[str, ...] | None = None
    distance: float | None = None
    is_unknown: bool | None = None
    classes: tuple[str, ...] | None = None


class PredictionTable(tuple[ImagePrediction, ...]):
    """Predictions in the order of the files, shown as a table in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        header = ["path", "label", "probability"]
        has_classes = any(image.classes is not None for image in self)
        header += ["classes"] * has_classes
        has_sets = any(image.prediction_set is not None for image in self)
        has_distances = any(image.distance is not None for image in self)
        header += ["prediction set"] * has_sets + ["unknown"] * has_distances + ["error"]
        rows = []
        for image in self[:_MAX_HTML_ROWS]:
            cells = [str(image.path), image.label, f"{image.probability:.4f}"]
            cells += [", ".join(image.classes or ())] * has_classes
            cells += [", ".join(image.prediction_set or ())] * has_sets
            cells += ["yes" if image.is_unknown else ""] * has_distances
            rows.append([*cells, image.error])
        hidden = len(self) - len(rows)
        notes = [f"{hidden:,} more images are not shown."] if hidden else []
        return html_table(f"{len(self):,} images", header, rows, notes=notes)


def image_prediction(
    prediction: Prediction[Path], class_names: Sequence[str], threshold: float | None
) -> ImagePrediction:
    """Return a prediction with the names of its classes.

    Args:
        prediction: for an image file.
        class_names: in the order of the probabilities.
        threshold: the lowest probability in a prediction set; None for no sets.
    """
    ranked = prediction.top_classes(class_names, len(class_names))
    label, probability = ranked[0] if ranked else ("", float("nan"))
    return ImagePrediction(
        prediction.item,
        label,
        probability,
        dict(ranked),
        prediction.error,
        None if threshold is None else prediction.prediction_set(class_names, threshold),
        prediction.distance,
        prediction.is_unknown,
        prediction.classes,
    )
