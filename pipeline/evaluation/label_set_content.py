"""What the report shows of a split whose images may have several labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.evaluation import figures
from pipeline.evaluation.class_metrics import label_set_class_metrics
from pipeline.evaluation.label_set_metrics import average_precision, image_losses
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.split_content import ImageSelection, SplitContent

_MAX_LISTED_CLASSES = 100  # of more, the table lists those with the lowest average precision
_MAX_IMAGES = 12
_MAX_PAIRS = 12


def label_rows(predictions: Predictions) -> list[dict[str, Any]]:
    """Return a row for each label; undefined values are None.

    Average precision does not depend on the threshold, precision, recall and F1 do.
    """
    labels, probabilities = predictions.labels, predictions.outputs
    names, thresholds = predictions.class_names, predictions.thresholds
    assert thresholds is not None
    rows = label_set_class_metrics(labels, predictions.predicted, names).rows()
    areas = average_precision(labels, probabilities)
    for row, area, threshold in zip(rows, areas.tolist(), thresholds.tolist(), strict=True):
        row["average_precision"] = None if area != area else area
        row["threshold"] = threshold
    return rows


def label_set_content(predictions: Predictions) -> SplitContent:
    """Return the tables and figures of a split."""
    rows = label_rows(predictions)
    listed = sorted(rows, key=lambda row: _last_if_none(row["average_precision"]))
    values = {
        "rows": rows if len(rows) <= _MAX_LISTED_CLASSES else listed[:_MAX_LISTED_CLASSES],
        "classes": len(rows),
        "pairs": _confused_pairs(predictions),
    }
    labels = [predictions.class_names.index(row["class"]) for row in listed]
    return SplitContent(
        "label_set_content.html.jinja",
        values,
        charts={"roc_pr": figures.plot_roc_pr(predictions, labels)},
    )


def select_images(predictions: Predictions) -> list[ImageSelection]:
    """Return the images with the highest losses, of those whose labels are not all right."""
    losses = image_losses(predictions.labels, predictions.outputs)
    order = np.argsort(-losses, kind="stable")
    indices = order[~predictions.is_correct[order]][:_MAX_IMAGES]
    return [
        ImageSelection(
            "worst_errors",
            "Images with wrong labels and the highest loss",
            indices,
            [_caption(predictions, index) for index in indices.tolist()],
            predictions.outputs[indices].argmax(axis=1),
        )
    ]


def _last_if_none(value: float | None) -> float:
    return np.inf if value is None else value


def _caption(predictions: Predictions, index: int) -> str:
    names, shares = predictions.class_names, predictions.outputs[index]
    true, predicted = (
        np.flatnonzero(labels[index]).tolist()
        for labels in (predictions.labels, predictions.predicted)
    )
    shown = ", ".join(names[label] for label in true) or "none"
    guessed = ", ".join(f"{names[label]} ({shares[label]:.0%})" for label in predicted) or "none"
    return f"true: {shown} · predicted: {guessed}"


def _confused_pairs(predictions: Predictions) -> list[tuple[str, str, int]]:
    """Return a missed label, a wrong one, and the images with both, the most frequent first."""
    missed = predictions.labels & ~predictions.predicted
    added = predictions.predicted & ~predictions.labels
    counts = missed.T.astype(np.int64) @ added.astype(np.int64)
    order = np.argsort(-counts, axis=None, kind="stable")[:_MAX_PAIRS]
    names = predictions.class_names
    rows, columns = np.unravel_index(order, counts.shape)
    return [
        (names[one], names[other], int(counts[one, other]))
        for one, other in zip(rows.tolist(), columns.tolist(), strict=True)
        if counts[one, other]
    ]
