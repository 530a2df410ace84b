"""The report on a classifier: an HTML page, and its charts and images as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation import figures
from pipeline.evaluation.captioned_images import CaptionedImage, image_grid
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.html_pages import render_page
from pipeline.evaluation.intervals import ConfidenceInterval, proportion_interval
from pipeline.evaluation.predictions import Predictions

_MAX_TABLE_CLASSES = 20  # up to which the confusion matrix is a table
_MAX_CONFUSIONS = 12


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
        is_imbalanced: whether to show balanced accuracy beside accuracy.
        quarantined: files that could not be read, with the reason.
        ignored: the number of files that are no images, by suffix.
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
    is_imbalanced: bool = False
    quarantined: Sequence[tuple[str, str]] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
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


def render_report(report: Report) -> RenderedReport:
    """Render the page of a report, and its charts and images as PNG files."""
    charts: dict[str, Figure] = {}
    matrices: dict[str, Figure] = {}
    sheets = {"augmented": report.augmented}
    if report.curves:
        charts["learning_curves"] = figures.plot_learning_curves(report.curves)
    for split in report.splits:
        prefix, predictions = split.prefix, split.predictions
        charts[f"{prefix}_calibration_roc_pr"] = figures.plot_calibration_roc_pr(predictions)
        matrices[f"{prefix}_confusion_matrix"] = figures.plot_confusion_matrix(
            predictions, title=split.title
        )
        sheets[f"{prefix}_worst_errors"] = split.errors
        sheets[f"{prefix}_least_certain"] = split.uncertain
    images = {name: figures.png(figure) for name, figure in (charts | matrices).items()}
    images |= {name: image_grid(shown) for name, shown in sheets.items() if shown}
    values = {
        "report": report,
        "charts": {name: figures.svg(figure) for name, figure in charts.items()},
        "images": images,
        "class_rows": _class_rows,
        "most_frequent_confusions": _most_frequent_confusions,
        "max_table_classes": _MAX_TABLE_CLASSES,
    }
    return RenderedReport(render_page("report_page.html.jinja", values), images)


def _class_rows(
    predictions: Predictions,
) -> Iterator[tuple[str, int, ConfidenceInterval | None, ConfidenceInterval | None, float]]:
    """Yield the name, images, precision, recall and F1 of each class.

    A proportion of no images is None.
    """
    matrix = predictions.confusion_matrix
    counts = (matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1))
    columns = (predictions.class_names, *(count.tolist() for count in counts))
    for name, correct, predicted, images in zip(*columns, strict=True):
        precision = proportion_interval(correct, predicted) if predicted else None
        recall = proportion_interval(correct, images) if images else None
        yield name, images, precision, recall, 2 * correct / max(predicted + images, 1)


def _most_frequent_confusions(predictions: Predictions) -> list[tuple[str, str, int]]:
    """Return true class, predicted class and images, the most frequent confusion first."""
    names, matrix = predictions.class_names, predictions.confusion_matrix
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [
        (names[true], names[predicted], int(matrix[true, predicted]))
        for true, predicted in pairs
        if matrix[true, predicted]
    ]
