"""The report on a model: an HTML page, and its charts and images as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation import figures
from pipeline.evaluation.captioned_images import CaptionedImage, image_grid
from pipeline.evaluation.cross_validation import CrossValidation
from pipeline.evaluation.figures import LearningCurves
from pipeline.evaluation.html_pages import render_page
from pipeline.evaluation.set_coverage import SetCoverage
from pipeline.evaluation.split_content import ReportTerms, SplitContent

_MAX_LISTED_CLASSES = 100  # of more, the table lists those with the fewest images


@dataclass(frozen=True)
class ImageSheet:
    """Images of a split that say much about the model.

    Attributes:
        name: of the file that shows them.
        title: above them on the page.
        images: with what they are and what the model predicts.
    """

    name: str
    title: str
    images: Sequence[CaptionedImage]


@dataclass(frozen=True)
class SplitReport:
    """The results of a model on a split.

    Attributes:
        prefix: of the names of its figures, such as `val`.
        title: of the section.
        note: on how the split was used.
        images: their number.
        metrics: by name, without the prefix.
        content: tables and figures.
        sheets: images to look at.
        set_coverage: of the prediction sets, at several confidence levels; empty without sets.
        set_note: on the images that set their thresholds.
    """

    prefix: str
    title: str
    note: str
    images: int
    metrics: Mapping[str, float]
    content: SplitContent
    sheets: Sequence[ImageSheet] = ()
    set_coverage: Sequence[SetCoverage] = ()
    set_note: str = ""

    @property
    def has_heatmaps(self) -> bool:
        """Whether the images have heatmaps."""
        return any(one.heatmap is not None for sheet in self.sheets for one in sheet.images)


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
class TrainingPicture:
    """A figure of what happened in training.

    Attributes:
        name: of its file.
        title: above it.
        note: below it, in sentences.
        figure: the figure.
    """

    name: str
    title: str
    note: str
    figure: Figure


@dataclass(frozen=True)
class Report:
    """The content of a report; sections without content are left out.

    Attributes:
        title: of the page.
        description: below the title.
        details: what identifies the run, by name.
        splits: the results.
        curves: the learning curves.
        pictures: what the model computes, by the title of each figure.
        training_pictures: further figures of the training.
        folds: the result of cross-validation.
        augmented: augmented training images.
        counts: the images per class, in the order of `class_names`, by split.
        class_names: in the order of the labels.
        terms: what the page calls things.
        quarantined: files that could not be read, with the reason.
        ignored: the number of files that are not images, by suffix.
        duplicates: groups of duplicates; None where they were not searched for.
        label_errors: training images that are probably mislabeled; None where they were not
            searched for.
        recipe: as text.
        environment: versions, by name.
        seconds: the duration of each stage.
        unit: what is counted: `images`, `examples` or `rows`.
    """

    title: str
    class_names: Sequence[str]
    splits: Sequence[SplitReport]
    terms: ReportTerms
    description: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    curves: LearningCurves | None = None
    pictures: Mapping[str, Figure] = field(default_factory=dict)
    training_pictures: Sequence[TrainingPicture] = ()
    folds: CrossValidation | None = None
    augmented: Sequence[CaptionedImage] = ()
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    quarantined: Sequence[tuple[str, str]] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    duplicates: Sequence[DuplicateGroup] | None = None
    label_errors: Sequence[CaptionedImage] | None = None
    recipe: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    unit: str = "images"

    @property
    def shows_data(self) -> bool:
        """Whether the page describes the data; numbers may have neither classes nor files."""
        if self.unit == "images":
            return bool(self.counts)
        return bool(self.class_names or self.quarantined)


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
    sheets = {"augmented": report.augmented}
    if report.curves:
        charts["learning_curves"] = figures.plot_learning_curves(report.curves)
    charts |= {_file_name(title): figure for title, figure in report.pictures.items()}
    charts |= {picture.name: picture.figure for picture in report.training_pictures}
    for split in report.splits:
        drawn = {**split.content.charts, **split.content.pictures}
        charts |= {f"{split.prefix}_{name}": figure for name, figure in drawn.items()}
        sheets |= {f"{split.prefix}_{sheet.name}": sheet.images for sheet in split.sheets}
    images = {name: figures.png(figure) for name, figure in charts.items()}
    images |= {name: image_grid(shown) for name, shown in sheets.items() if shown}
    values: dict[str, Any] = {
        "report": report,
        "curves": charts.get("learning_curves"),
        "svg": figures.svg,
        "images": images,
        "rare_classes": _rare_classes,
    }
    return RenderedReport(render_page("report_page.html.jinja", values), images)


def _file_name(title: str) -> str:
    return title.lower().replace(" ", "_")


def _rare_classes(report: Report) -> tuple[Sequence[str], Mapping[str, Sequence[int]]]:
    """Return names and counts of the classes to list: of many, those with the fewest images."""
    names, counts = report.class_names, report.counts
    if len(names) <= _MAX_LISTED_CLASSES:
        return names, counts
    totals = np.sum([np.asarray(images) for images in counts.values()], axis=0)
    rare = np.argsort(totals, kind="stable")[:_MAX_LISTED_CLASSES].tolist()
    chosen = {split: [images[label] for label in rare] for split, images in counts.items()}
    return [names[label] for label in rare], chosen
