"""Matplotlib charts: as PNG on white, and as SVG in the text color of a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from sklearn import metrics

from pipeline.evaluation.captioned_images import keep_end
from pipeline.evaluation.class_metrics import class_metrics
from pipeline.evaluation.metrics import CALIBRATION_BINS, calibration, expected_calibration_error
from pipeline.evaluation.predictions import Predictions, confusion_matrix, most_confused

_TRAINING, _VALIDATION, GRAY = "#3b82c4", "#e0607a", "#8a8a8a"  # legible on white and on black
CURVES = ("#3b82c4", "#e0607a", "#2f9e6e", "#c98a1b", "#8b6fd0", "#2aa5b8")
INK = "#0a0b0c"  # replaced with the text color of the page
_MAX_NAME = 22  # characters of a class name
_MAX_CLASSES = 30  # of a confusion matrix; of more, those of the most frequent confusions
_DPI = 120
_PIXELS_PER_POINT = 1.3  # of a chart on a page that is wide enough
_STYLE = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    "axes.titlesize": 11,
    "axes.titley": 1.0,  # otherwise each drawing measures all tick labels to place the title
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pipeline",
    "text.parse_math": False,  # class names can contain $
}


@dataclass(frozen=True)
class LearningCurves:
    """The metrics of each epoch.

    Attributes:
        epochs: the metrics of each epoch; those of validation images start with `val_`.
        metric: the name of the metric that is plotted beside the loss.
        best_epoch: the epoch whose weights the model has, counted from 1; None without validation
            images: it has those of the last epoch.
        frozen_epochs: epochs before fine-tuning; None without fine-tuning.
        near_best: the number of other epochs that are as good within noise.
    """

    epochs: Sequence[Mapping[str, float]]
    metric: str
    best_epoch: int | None
    frozen_epochs: int | None
    near_best: int = 0


def plot_learning_curves(curves: LearningCurves) -> Figure:
    """Plot loss and a metric by epoch, with the best epoch, if there is one, marked."""
    known = curves.epochs[0]
    names = [name for name in ("loss", curves.metric) if {name, f"val_{name}"} & set(known)]
    with style():
        figure, panels = _panels(len(names))
        for axes, name in zip(panels, names, strict=True):
            _draw_epochs(axes, curves, name)
    return figure


def plot_calibration_roc_pr(predictions: Predictions) -> Figure:
    """Plot a reliability diagram (Guo et al., 2017), ROC curves and precision-recall curves.

    The curves are one class against the rest: for the second of two classes, and at most for the
    six classes with the lowest recall.
    """
    with style():
        figure, (reliability, roc, precision_recall) = _panels(3)
        _draw_reliability(reliability, predictions)
        _draw_curves(roc, precision_recall, predictions, _shown_curves(predictions))
    return figure


def plot_roc_pr(predictions: Predictions, labels: Sequence[int]) -> Figure:
    """Plot ROC curves and precision-recall curves of labels, where images may have several.

    Args:
        predictions: the predictions.
        labels: of the classes; the first six that some images have and others do not are shown.
    """
    images = predictions.labels.sum(axis=0)
    is_mixed = (images > 0) & (images < len(predictions))
    shown = [label for label in labels if is_mixed[label]]
    with style():
        figure, (roc, precision_recall) = _panels(2)
        _draw_curves(roc, precision_recall, predictions, shown)
    return figure


def plot_rate_range(
    rates: Sequence[float],
    losses: Sequence[float],
    *,
    recipe: float,
    suggestion: float | None,
) -> Figure:
    """Plot the loss as the learning rate grows, with the recipe's rate and the suggested one."""
    with style():
        figure, (axes,) = _panels(1)
        axes.plot(rates, losses, color=_TRAINING)
        axes.axvline(recipe, color=GRAY, linestyle=":", label=f"recipe: {recipe:g}")
        if suggestion is not None:
            label = f"suggestion: {suggestion:.1g}"
            axes.axvline(suggestion, color=_VALIDATION, linestyle="--", label=label)
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
        _write_out_powers(axes.xaxis)
        axes.legend()
    return figure


def plot_steps(losses: Sequence[float]) -> Figure:
    """Plot the loss by training step, on a logarithmic scale."""
    with style():
        figure, (axes,) = _panels(1)
        axes.plot(losses, color=_TRAINING)
        axes.set(yscale="log", xlabel="step", ylabel="loss")
        _write_out_powers(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_gradient_norms(norms: Mapping[str, float]) -> Figure:
    """Plot the norm of the gradient of each layer, on a logarithmic scale, first layer on top."""
    height = max(1.6, 0.28 * len(norms) + 1.0)
    positions = range(len(norms))
    with style():
        figure = Figure(figsize=(5.5, height), layout="constrained")
        axes = figure.subplots()
        axes.barh(positions, list(norms.values()), color=_TRAINING)
        axes.set_yticks(positions, [keep_end(name, _MAX_NAME) for name in norms])
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="norm of the gradient")
        _write_out_powers(axes.xaxis)
    return figure


def plot_confusion_matrix(predictions: Predictions, *, title: str) -> Figure:
    """Plot a confusion matrix, of more than 30 classes that of the most frequently confused ones.

    Args:
        predictions: the predictions.
        title: of the split.
    """
    labels = _shown_classes(predictions)
    matrix, total = confusion_matrix(predictions, labels), len(predictions.class_names)
    count, accuracy = len(labels), np.mean(predictions.is_correct)
    title = f"{title}: accuracy {accuracy:.4f} (n = {len(predictions):,})"
    if count < total:
        title += f"\nthe {count} most frequently confused of {total:,} classes"
    side = max(3.2, 0.5 * count + 1.8)
    names = [keep_end(predictions.class_names[label], _MAX_NAME) for label in labels]
    images = np.bincount(predictions.labels, minlength=total)[labels]
    shares = matrix / images[:, np.newaxis].clip(1)
    ticks = range(count)
    with style():
        figure = Figure(figsize=(side + 0.6, side))
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(True)
        # An image would be scaled up to 4 million values, in 150 MB of arrays.
        edges = np.arange(count + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1, rasterized=True)
        axes.set(aspect="equal", ylim=(count - 0.5, -0.5))
        axes.set_xticks(ticks, names, rotation=90 if count > 4 else 0)
        axes.set_yticks(ticks, names)
        axes.set(xlabel="predicted", ylabel="true", title=title)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            number = str(matrix[row, column])
            axes.text(column, row, number, ha="center", va="center", color=color)
        rows, columns = np.nonzero(matrix == 0)  # most cells, and a text takes much longer to draw
        axes.plot(columns, rows, ".k", markersize=1, scalex=False, scaley=False)
        # As an engine of the figure, it would have each file of it drawn twice.
        ConstrainedLayoutEngine().execute(figure)
    return figure


def _shown_classes(predictions: Predictions) -> list[int]:
    """Return the labels of the classes in a confusion matrix, ascending."""
    count = len(predictions.class_names)
    if count <= _MAX_CLASSES:
        return list(range(count))
    chosen: dict[int, None] = {}
    for true, predicted, _ in most_confused(predictions, count):
        for label in (true, predicted):
            if len(chosen) < _MAX_CLASSES:
                chosen[label] = None
    return sorted(chosen) or list(range(_MAX_CLASSES))


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file on white."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="png", dpi=_DPI, pil_kwargs={"compress_level": 1})
    return file.getvalue()


def svg(figure: Figure) -> str:
    """Return a figure as an SVG element that adopts the text color and the width of a page."""
    file = io.StringIO()
    omitted = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style():
        figure.savefig(file, format="svg", transparent=True, metadata=omitted)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    head, _, rest = text.partition(">")
    head = re.sub(r' (xmlns(:\w+)?|width|height)="[^"]*"', "", head)
    width = figure.get_figwidth() * 72 * _PIXELS_PER_POINT
    return f'{head} style="max-width:{width:.0f}px">{rest}'


@contextmanager
def style() -> Iterator[None]:
    """Draw in one style, without warnings about characters that the font lacks."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _write_out_powers(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers: text is not parsed as formulas."""
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of charts in a row. Fixed margins, because a layout engine is slow."""
    figure = Figure(figsize=(3.9 * count, 3.4))
    panels = figure.subplots(1, count, squeeze=False)[0]
    figure.subplots_adjust(left=0.2 / count, right=1 - 0.03 / count, bottom=0.15, top=0.9)
    figure.subplots_adjust(wspace=0.3)
    return figure, panels


def _draw_epochs(axes: Axes, curves: LearningCurves, name: str) -> None:
    epochs = range(1, len(curves.epochs) + 1)
    marker = "o" if len(epochs) < 3 else ""
    for prefix, color, label in (("", _TRAINING, "training"), ("val_", _VALIDATION, "validation")):
        if prefix + name in curves.epochs[0]:
            values = [epoch[prefix + name] for epoch in curves.epochs]
            axes.plot(epochs, values, color=color, label=label, marker=marker)
    if curves.best_epoch is not None:
        label = f"best epoch: {curves.best_epoch}"
        axes.axvline(curves.best_epoch, color=GRAY, linestyle=":", label=label)
    if curves.frozen_epochs is not None:
        start, end = curves.frozen_epochs + 0.5, len(epochs) + 0.5
        axes.axvspan(start, end, color=GRAY, alpha=0.15, label="fine-tuning")
    axes.set(title=name, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _draw_reliability(axes: Axes, predictions: Predictions) -> None:
    counts, confidence, accuracy = calibration(predictions.labels, predictions.outputs)
    filled = counts > 0
    width = 1 / CALIBRATION_BINS
    centers = (np.arange(CALIBRATION_BINS) + 0.5) * width
    shares = counts / counts.sum()
    axes.bar(centers, shares, width * 0.9, color=GRAY, alpha=0.3, label="share of predictions")
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle=":")
    x, y = confidence[filled], accuracy[filled]
    axes.plot(x, y, color=_TRAINING, marker="o", markersize=4, label="accuracy")
    ece = expected_calibration_error(predictions.labels, predictions.outputs)
    axes.set(title=f"Reliability diagram (ECE {ece:.3f})", xlabel="confidence", ylabel="accuracy")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")


def _shown_curves(predictions: Predictions) -> list[int]:
    """Return the labels whose curves are shown, each image being of one class."""
    labels = predictions.labels
    present = np.unique(labels)
    if len(present) < 2:
        return []
    shown = present[1:] if len(predictions.class_names) == 2 else present
    if len(shown) > len(CURVES):
        of_classes = class_metrics(labels, predictions.predicted, predictions.class_names)
        shown = np.sort(of_classes.worst(len(CURVES)))
    return [int(label) for label in shown]


def _draw_curves(
    roc: Axes, precision_recall: Axes, predictions: Predictions, shown: Sequence[int]
) -> None:
    labels = predictions.labels
    for label, color in zip(shown, CURVES, strict=False):
        binary = labels == label if labels.ndim == 1 else labels[:, label]
        scores = predictions.outputs[:, label]
        name = keep_end(predictions.class_names[label], _MAX_NAME)
        false_positive, true_positive, _ = metrics.roc_curve(binary, scores)
        area = metrics.auc(false_positive, true_positive)
        roc.plot(false_positive, true_positive, color=color, label=f"{name} {area:.3f}")
        precision, recall, _ = metrics.precision_recall_curve(
            binary, scores, drop_intermediate=True
        )
        area = metrics.average_precision_score(binary, scores)
        precision_recall.plot(recall, precision, color=color, label=f"{name} {area:.3f}")
    roc.plot([0, 1], [0, 1], color=GRAY, linestyle=":")
    for axes, title, x, y in (
        (roc, "ROC curve (AUC)", "false positive rate", "true positive rate"),
        (precision_recall, "Precision-recall curve (AP)", "recall", "precision"),
    ):
        axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(0, 1.03))
    if roc.lines[1:]:
        roc.legend(loc="lower right")
        precision_recall.legend(loc="lower left")
