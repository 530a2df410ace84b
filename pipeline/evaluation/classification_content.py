"""What the report of a classifier shows of a split."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation import figures
from pipeline.evaluation.class_metrics import ClassMetrics, class_metrics
from pipeline.evaluation.predictions import (
    Predictions,
    confusion_matrix,
    least_certain,
    most_confused,
    worst_errors,
)
from pipeline.evaluation.selective_accuracy import selective_accuracy
from pipeline.evaluation.split_content import ImageSelection, SplitContent

_MAX_TABLE_CLASSES = 20  # up to which the confusion matrix is a table
_MAX_CONFUSIONS = 12
_MAX_LISTED_CLASSES = 100  # of more, the tables list the worst
_MAX_ERRORS, _MAX_UNCERTAIN = 12, 8


def classification_content(predictions: Predictions, *, title: str) -> SplitContent:
    """Return the tables and figures of a split.

    Args:
        predictions: for its images.
        title: of the split.
    """
    names = predictions.class_names
    matrix = figures.plot_confusion_matrix(predictions, title=title)
    of_classes = class_metrics(predictions.labels, predictions.predicted, names)
    values = {
        "class_names": names,
        "matrix": None,
        "confusions": [
            (names[true], names[predicted], images)
            for true, predicted, images in most_confused(predictions, _MAX_CONFUSIONS)
        ],
        "rows": of_classes.rows(_listed(of_classes)),
        "selective": selective_accuracy(predictions),
    }
    if len(names) <= _MAX_TABLE_CLASSES:
        values["matrix"] = confusion_matrix(predictions, range(len(names))).tolist()
    return SplitContent(
        "classification_content.html.jinja",
        values,
        charts={"calibration_roc_pr": figures.plot_calibration_roc_pr(predictions)},
        pictures={"confusion_matrix": matrix},
    )


def _listed(of_classes: ClassMetrics) -> list[int] | None:
    """Return the labels of the classes to list, None for all."""
    if len(of_classes.class_names) <= _MAX_LISTED_CLASSES:
        return None
    return of_classes.worst(_MAX_LISTED_CLASSES)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    """Return the misclassified images with the highest losses, and the least certain others."""
    errors = worst_errors(predictions, _MAX_ERRORS)
    uncertain = least_certain(predictions, _MAX_UNCERTAIN, exclude=errors)
    return [
        ImageSelection(name, title, indices, _captions(predictions, indices), classes)
        for name, title, indices in (
            ("worst_errors", "Misclassified images with the highest loss", errors),
            ("least_certain", "Least certain images", uncertain),
        )
        for classes in [predictions.predicted[indices]]
    ]


def _captions(predictions: Predictions, indices: np.ndarray) -> list[str]:
    names = predictions.class_names
    columns = (predictions.labels, predictions.predicted, predictions.confidence)
    return [
        f"true: {names[true]} · predicted: {names[guess]} ({confidence:.1%})"
        for true, guess, confidence in zip(*(column[indices] for column in columns), strict=True)
    ]
