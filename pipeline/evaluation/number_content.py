"""What the report shows of a split whose labels are numbers."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.number_figures import plot_residuals
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.split_content import ImageSelection, SplitContent

_MAX_IMAGES = 12


def number_content(predictions: Predictions) -> SplitContent:
    """Return the figures of a split."""
    return SplitContent(
        "number_content.html.jinja",
        values={},
        charts={"residuals": plot_residuals(predictions.labels, predictions.predicted)},
    )


def select_images(predictions: Predictions) -> list[ImageSelection]:
    """Return the images with the largest absolute errors, largest first."""
    labels, estimates = predictions.labels, predictions.predicted
    indices = np.argsort(-np.abs(estimates - labels), kind="stable")[:_MAX_IMAGES]
    captions = [
        f"true: {label:.4g} · predicted: {estimate:.4g}"
        for label, estimate in zip(
            labels[indices].tolist(), estimates[indices].tolist(), strict=True
        )
    ]
    # A larger number is the second of the two classes that the one unit of an output tells apart.
    larger = np.ones(len(indices), np.int64)
    return [
        ImageSelection("worst_errors", "Images with the largest errors", indices, captions, larger)
    ]
