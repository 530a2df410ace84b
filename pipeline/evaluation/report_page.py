"""The report on a classifier: an HTML page, and its charts and images as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation import figures
from pipeline.evaluation.captioned_images import CaptionedImage, image_grid
from pipeline.evaluation.class_metrics import class_metrics
from pipeline.evaluation.cross_validation import CrossValidation
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.html_pages import render_page
from pipeline.evaluation.predictions import Predictions, confusion_matrix, most_confused
from pipeline.evaluation.selective_accuracy import selective_accuracy
from pipeline.evaluation.set_coverage import SetCoverage

_MAX_TABLE_CLASSES = 20  # up to which the confusion matrix is a table
_MAX_CONFUSIONS = 12
_MAX_LISTED_CLASSES = 100  # of more, the tables list the worst, or those with the fewest images


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
        set_coverage: of the prediction sets, at several confidence levels; empty without sets.
        set_note: on the images that set their thresholds.
    """

    prefix: str
    title: str
    note: str
    predictions: Predictions
    metrics: Mapping[str, float]
    errors: Sequence[CaptionedImage] = ()
    uncertain: Sequence[CaptionedImage] = ()
    set_coverage: Sequence[SetCoverage] = ()
    set_note: str = ""


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
        folds: the result of cross-validation.
        fold_metrics: the names of the metrics to show of each fold.
        augmented: augmented training images.
        counts: the images per class, in the order of `class_names`, by split.
        class_names: in the order of the labels.
        is_imbalanced: whether to show balanced accuracy beside accuracy.
        quarantined: files that could not be read, with the reason.
        ignored: the number of files that are not images, by suffix.
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
    folds: CrossValidation | None = None
    fold_metrics: Sequence[str] = ()
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
class ClassTable:
    """The metrics of classes.

    Attributes:
        rows: as `ClassMetrics.rows` returns them.
        classes: the number of all classes.
    """

    rows: Sequence[Mapping[str, Any]]
    classes: int


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
        "class_table": _class_table,
        "confusion_matrix": _matrix_of_all,
        "most_frequent_confusions": _most_frequent_confusions,
        "rare_classes": _rare_classes,
        "selective_accuracy": selective_accuracy,
        "max_table_classes": _MAX_TABLE_CLASSES,
    }
    return RenderedReport(render_page("report_page.html.jinja", values), images)


def _class_table(predictions: Predictions) -> ClassTable:
    metrics = class_metrics(predictions.labels, predictions.predicted, predictions.class_names)
    labels = None
    if len(predictions.class_names) > _MAX_LISTED_CLASSES:
        labels = metrics.worst(_MAX_LISTED_CLASSES)
    return ClassTable(metrics.rows(labels), len(predictions.class_names))


def _rare_classes(report: Report) -> tuple[Sequence[str], Mapping[str, Sequence[int]]]:
    """Return names and counts of the classes to list: of many, those with the fewest images."""
    names, counts = report.class_names, report.counts
    if len(names) <= _MAX_LISTED_CLASSES:
        return names, counts
    totals = np.sum([np.asarray(images) for images in counts.values()], axis=0)
    rare = np.argsort(totals, kind="stable")[:_MAX_LISTED_CLASSES].tolist()
    chosen = {split: [images[label] for label in rare] for split, images in counts.items()}
    return [names[label] for label in rare], chosen


def _most_frequent_confusions(predictions: Predictions) -> list[tuple[str, str, int]]:
    """Return true class, predicted class and images, the most frequent confusion first."""
    names = predictions.class_names
    return [
        (names[true], names[predicted], images)
        for true, predicted, images in most_confused(predictions, _MAX_CONFUSIONS)
    ]


def _matrix_of_all(predictions: Predictions) -> list[list[int]]:
    """Return the confusion matrix of all classes."""
    matrix = confusion_matrix(predictions, range(len(predictions.class_names)))
    rows: list[list[int]] = matrix.tolist()
    return rows
