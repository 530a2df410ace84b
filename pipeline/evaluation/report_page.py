"""A report on a classifier, as a page and as pictures.

It is a function of plain data, of a run or of anything else that was predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.evaluation import figures, intervals, pictures
from pipeline.evaluation.figures import Curves
from pipeline.evaluation.html_pages import page
from pipeline.evaluation.intervals import Interval
from pipeline.evaluation.metrics import confusion_matrix
from pipeline.evaluation.pictures import CaptionedImage
from pipeline.evaluation.predictions import Predictions

_MOST_CLASSES = 20  # in a confusion matrix that is a table
_MOST_CONFUSIONS = 12
_TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class SplitReport:
    """What is known about one set of images that a model was tried on.

    Attributes:
        prefix: of the names of its pictures, as `val`.
        title: what it is called.
        note: what part it played.
        predictions: what the model gives its images.
        metrics: as `classification_metrics` returns them.
        mistakes: the images that it is most wrong about, the worst first.
        uncertain: others that it could hardly decide on.
    """

    prefix: str
    title: str
    note: str
    predictions: Predictions
    metrics: Mapping[str, float]
    mistakes: Sequence[CaptionedImage] = ()
    uncertain: Sequence[CaptionedImage] = ()


@dataclass(frozen=True)
class DuplicateImages:
    """Images that show the same picture.

    Attributes:
        pictures: the images.
        is_leak: whether they are in more than one split.
    """

    pictures: Sequence[CaptionedImage]
    is_leak: bool


@dataclass(frozen=True)
class Report:
    """Everything that a report shows; what is left out has no section.

    Attributes:
        title: what it is about.
        description: what that is for.
        facts: what identifies it, by name.
        splits: what it was tried on.
        curves: how training went.
        augmented: training images as the model saw them.
        counts: the images of each class, in the order of the classes, by split.
        class_names: in that order.
        quarantined: files that were left out, with the reason.
        duplicates: images that show the same picture; None where nobody looked for them.
        suspicious: training images whose label is doubtful; None where nobody looked for them.
        recipe: its text.
        environment: versions by name.
        seconds: the time each stage took.
    """

    title: str
    class_names: Sequence[str]
    splits: Sequence[SplitReport]
    description: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    curves: Curves | None = None
    augmented: Sequence[CaptionedImage] = ()
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    quarantined: Sequence[tuple[str, str]] = ()
    duplicates: Sequence[DuplicateImages] | None = None
    suspicious: Sequence[CaptionedImage] | None = None
    recipe: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RenderedReport:
    """A report to be looked at.

    Attributes:
        html: the page, all of it.
        images: what the page shows, as PNG files by their names without the ending.
    """

    html: str
    images: dict[str, bytes]


@dataclass(frozen=True)
class _ClassRow:
    name: str
    images: int
    precision: Interval | None
    recall: Interval | None
    f1: float


def render_report(report: Report) -> RenderedReport:
    """Return the page of a report, and its pictures as files of their own."""
    images: dict[str, bytes] = {}
    charts: dict[str, Any] = {}
    if report.curves:
        figure = figures.learning_curves(report.curves)
        charts["learning_curves"] = figures.svg(figure)
        images["learning_curves"] = figures.png(figure)
    if report.augmented:
        images["augmented"] = pictures.sheet(report.augmented)
    for split in report.splits:
        _draw_split(split, charts, images)
    values = {
        "report": report,
        "charts": charts,
        "images": images,
        "under_heat": pictures.under_heat,
        "matrix_of": lambda split: _matrix(split.predictions),
        "class_rows": lambda split: _class_rows(split.predictions),
        "confusions_of": lambda split: _confusions(split.predictions),
        "most_classes": _MOST_CLASSES,
    }
    return RenderedReport(page(_TEMPLATE, values), images)


def _draw_split(split: SplitReport, charts: dict[str, Any], images: dict[str, bytes]) -> None:
    prefix, given = split.prefix, split.predictions
    figure = figures.quality(given)
    charts[f"{prefix}_quality"] = figures.svg(figure)
    images[f"{prefix}_quality"] = figures.png(figure)
    title = f"{split.title}, accuracy {np.mean(given.right):.4f} of {len(given):,}"
    matrix = _matrix(given)
    images[f"{prefix}_confusion_matrix"] = figures.png(
        figures.confusion(matrix, given.class_names, title=title)
    )
    for name, shown in (("worst_mistakes", split.mistakes), ("least_certain", split.uncertain)):
        if shown:
            images[f"{prefix}_{name}"] = pictures.sheet(shown)


def _matrix(given: Predictions) -> np.ndarray:
    return confusion_matrix(given.labels, given.probabilities)


def _class_rows(given: Predictions) -> list[_ClassRow]:
    """Return how well each class was told apart; a figure of no images at all is None."""
    matrix = _matrix(given)
    rows = []
    for label, name in enumerate(given.class_names):
        right, taken, images = matrix[label, label], matrix[:, label].sum(), matrix[label].sum()
        rows.append(
            _ClassRow(
                name=name,
                images=int(images),
                precision=intervals.proportion_interval(int(right), int(taken)) if taken else None,
                recall=intervals.proportion_interval(int(right), int(images)) if images else None,
                f1=2 * right / max(taken + images, 1),
            )
        )
    return rows


def _confusions(given: Predictions) -> list[tuple[str, str, int]]:
    """Return which classes are most often taken for which, and how often."""
    matrix = _matrix(given)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [
        (given.class_names[true], given.class_names[taken], int(matrix[true, taken]))
        for true, taken in pairs
        if matrix[true, taken]
    ]
