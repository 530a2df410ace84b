"""The report on a classifier: an HTML page, and its charts and images as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.evaluation import figures
from pipeline.evaluation.captioned_images import CaptionedImage, image_grid
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.html_pages import render_page
from pipeline.evaluation.intervals import ConfidenceInterval, proportion_interval
from pipeline.evaluation.metrics import confusion_matrix
from pipeline.evaluation.predictions import Predictions

_MAX_TABLE_CLASSES = 20  # up to which the confusion matrix is a table
_MAX_CONFUSIONS = 12
_TEMPLATE = "report_page.html.jinja"


@dataclass(frozen=True)
class SplitReport:
    """The results of a model on a split.

    Attributes:
        prefix: of the names of its figures, such as `val`.
        title: of the section.
        note: on how the split was used.
        predictions: for the images of the split.
        metrics: as `classification_metrics` returns them.
        errors: misclassified images with the highest losses, highest first.
        uncertain: other images with the smallest margins between two classes.
    """

    prefix: str
    title: str
    note: str
    predictions: Predictions
    metrics: Mapping[str, float]
    errors: Sequence[CaptionedImage] = ()
    uncertain: Sequence[CaptionedImage] = ()


@dataclass(frozen=True)
class DuplicateGroup:
    """Copies of one image.

    Attributes:
        images: the copies.
        is_leak: whether they are in more than one split.
    """

    images: Sequence[CaptionedImage]
    is_leak: bool


@dataclass(frozen=True)
class Report:
    """The content of a report; sections without content are left out.

    Attributes:
        title: of the page.
        description: below the title.
        details: what identifies the run, by name.
        splits: the results.
        curves: the learning curves.
        augmented: augmented training images.
        counts: the images per class, in the order of `class_names`, by split.
        class_names: in the order of the labels.
        quarantined: files that could not be read, with the reason.
        duplicates: groups of duplicates; None where they were not searched for.
        label_errors: training images that are probably mislabeled; None where they were not
            searched for.
        recipe: as text.
        environment: versions, by name.
        seconds: the duration of each stage.
    """

    title: str
    class_names: Sequence[str]
    splits: Sequence[SplitReport]
    description: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    curves: LearningCurves | None = None
    augmented: Sequence[CaptionedImage] = ()
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    quarantined: Sequence[tuple[str, str]] = ()
    duplicates: Sequence[DuplicateGroup] | None = None
    label_errors: Sequence[CaptionedImage] | None = None
    recipe: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedReport:
    """A report as files.

    Attributes:
        html: the page.
        images: PNG files of its charts and images, by name without the extension.
    """

    html: str
    images: dict[str, bytes]


@dataclass(frozen=True)
class _ClassRow:
    name: str
    images: int
    precision: ConfidenceInterval | None
    recall: ConfidenceInterval | None
    f1: float


def render_report(report: Report) -> RenderedReport:
    """Render the page of a report, and its charts and images as PNG files."""
    images: dict[str, bytes] = {}
    charts: dict[str, Any] = {}
    if report.curves:
        figure = figures.plot_learning_curves(report.curves)
        charts["learning_curves"] = figures.svg(figure)
        images["learning_curves"] = figures.png(figure)
    if report.augmented:
        images["augmented"] = image_grid(report.augmented)
    for split in report.splits:
        _draw_split(split, charts, images)
    values = {
        "report": report,
        "charts": charts,
        "images": images,
        "matrix_of": lambda split: _matrix(split.predictions),
        "class_rows": lambda split: _class_rows(split.predictions),
        "confusions_of": lambda split: _confusions(split.predictions),
        "max_table_classes": _MAX_TABLE_CLASSES,
    }
    return RenderedReport(render_page(_TEMPLATE, values), images)


def _draw_split(split: SplitReport, charts: dict[str, Any], images: dict[str, bytes]) -> None:
    prefix, predictions = split.prefix, split.predictions
    figure = figures.plot_calibration_roc_pr(predictions)
    charts[f"{prefix}_calibration_roc_pr"] = figures.svg(figure)
    images[f"{prefix}_calibration_roc_pr"] = figures.png(figure)
    accuracy = np.mean(predictions.is_correct)
    title = f"{split.title}: accuracy {accuracy:.4f} ({len(predictions):,} images)"
    images[f"{prefix}_confusion_matrix"] = figures.png(
        figures.plot_confusion_matrix(_matrix(predictions), predictions.class_names, title=title)
    )
    for name, shown in (("worst_errors", split.errors), ("least_certain", split.uncertain)):
        if shown:
            images[f"{prefix}_{name}"] = image_grid(shown)


def _matrix(predictions: Predictions) -> np.ndarray:
    return confusion_matrix(predictions.labels, predictions.probabilities)


def _class_rows(predictions: Predictions) -> list[_ClassRow]:
    """Return the metrics of each class; a proportion of no images is None."""
    matrix = _matrix(predictions)
    rows = []
    for label, name in enumerate(predictions.class_names):
        correct = int(matrix[label, label])
        predicted, images = int(matrix[:, label].sum()), int(matrix[label].sum())
        rows.append(
            _ClassRow(
                name=name,
                images=images,
                precision=proportion_interval(correct, predicted) if predicted else None,
                recall=proportion_interval(correct, images) if images else None,
                f1=2 * correct / max(predicted + images, 1),
            )
        )
    return rows


def _confusions(predictions: Predictions) -> list[tuple[str, str, int]]:
    """Return the most frequent confusions: true class, predicted class, images."""
    names, matrix = predictions.class_names, _matrix(predictions)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [
        (names[true], names[predicted], int(matrix[true, predicted]))
        for true, predicted in pairs
        if matrix[true, predicted]
    ]
