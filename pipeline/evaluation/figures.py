"""Charts, drawn with matplotlib: as PNG on white, and as SVG that takes the color of a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics

from pipeline.evaluation.metrics import CALIBRATION_BINS, calibration
from pipeline.evaluation.pictures import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipeline.evaluation.predictions import Predictions

_TRAINING, _VALIDATION, _CHOSEN = "#3b82c4", "#e0607a", "#8a8a8a"  # legible on white and on black
_CURVES = ("#3b82c4", "#e0607a", "#2f9e6e", "#c98a1b", "#8b6fd0", "#2aa5b8")
_INK = "#0a0b0c"  # stands for the color of the page's text
_LETTERS = 22  # of a class's name
_MOST_NAMES, _MOST_COUNTS = 100, 30  # classes whose names, and counts, a confusion matrix shows
_DPI = 120
_PIXELS_A_POINT = 1.3  # of a chart on a page that has room for it
_STYLE = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "pipeline",
    "text.parse_math": False,  # a class may be called $x$
}


@dataclass(frozen=True)
class Curves:
    """How training went.

    Attributes:
        rows: `loss`, `accuracy`, `val_loss` and `val_accuracy` of each epoch.
        best_epoch: the one whose weights the model has, counted from 1.
        fine_tuned_from: epochs before the base began to learn, None if it did not.
    """

    rows: Sequence[Mapping[str, float]]
    best_epoch: int
    fine_tuned_from: int | None


def learning_curves(curves: Curves) -> Figure:
    """Return loss and accuracy by epoch, with the chosen epoch marked."""
    with _style():
        figure, panels = _panels(2)
        for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
            _draw_history(axes, curves, name)
    return figure


def quality(given: Predictions) -> Figure:
    """Return a reliability diagram (Guo et al., 2017), ROC and precision-recall curves.

    The curves are of each class against the rest: of the second of two classes, of the six that
    are recognized least where there are more than six.
    """
    with _style():
        figure, (reliability, roc, precision_recall) = _panels(3)
        _draw_reliability(reliability, given)
        _draw_curves(roc, precision_recall, given)
    return figure


def confusion(matrix: np.ndarray, class_names: Sequence[str], *, title: str) -> Figure:
    """Return a confusion matrix; counts are written in where there is room for them.

    Args:
        matrix: images of each true class (rows) taken for each class (columns).
        class_names: in the order of both.
        title: what it was measured on.
    """
    count = len(class_names)
    side = min(max(3.2, 0.5 * count + 1.8), 16)
    names = [shortened(name, _LETTERS) for name in class_names]
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    ticks = range(count)
    with _style():
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(True)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if count <= _MOST_NAMES:
            axes.set_xticks(ticks, names, rotation=90 if count > 4 else 0)
            axes.set_yticks(ticks, names)
        axes.set(xlabel="predicted", ylabel="true", title=title)
        for row, column in np.ndindex(matrix.shape) if count <= _MOST_COUNTS else ():
            color = "white" if shares[row, column] > 0.5 else "black"
            number = str(matrix[row, column]) if matrix[row, column] else "·"
            axes.text(column, row, number, ha="center", va="center", color=color)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG on white."""
    file = io.BytesIO()
    with _style():
        figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def svg(figure: Figure) -> str:
    """Return a figure as the SVG element of a page, whose text color and width it takes."""
    file = io.StringIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with _style():
        figure.savefig(file, format="svg", transparent=True, metadata=unsaid)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    head, _, rest = text.partition(">")
    head = re.sub(r' (xmlns(:\w+)?|width|height)="[^"]*"', "", head)
    width = figure.get_figwidth() * 72 * _PIXELS_A_POINT
    return f'{head} style="max-width:{width:.0f}px">{rest}'


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our style, and in silence about letters that the font lacks."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of charts in a row, with given margins: finding them is slow."""
    figure = Figure(figsize=(3.9 * count, 3.4))
    panels = figure.subplots(1, count)
    figure.subplots_adjust(left=0.2 / count, right=1 - 0.03 / count, bottom=0.15, top=0.9)
    figure.subplots_adjust(wspace=0.25)
    return figure, panels


def _draw_history(axes: Axes, curves: Curves, name: str) -> None:
    rows, best = curves.rows, curves.best_epoch
    epochs = range(1, len(rows) + 1)
    marker = "o" if len(rows) < 3 else ""
    for prefix, color, label in (("", _TRAINING, "training"), ("val_", _VALIDATION, "validation")):
        values = [row[prefix + name] for row in rows]
        axes.plot(epochs, values, color=color, label=label, marker=marker)
    axes.axvline(best, color=_CHOSEN, linestyle=":", label=f"chosen: {best}")
    if curves.fine_tuned_from is not None:
        axes.axvspan(curves.fine_tuned_from + 0.5, len(rows) + 0.5, color=_CHOSEN, alpha=0.15)
    axes.set(title=name, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()


def _draw_reliability(axes: Axes, given: Predictions) -> None:
    counts, confidence, accuracy = calibration(given.labels, given.probabilities)
    filled = counts > 0
    width = 1 / CALIBRATION_BINS
    centers = (np.arange(CALIBRATION_BINS) + 0.5) * width
    axes.bar(centers, counts / counts.sum(), width * 0.9, color=_CHOSEN, alpha=0.3, label="images")
    axes.plot([0, 1], [0, 1], color=_CHOSEN, linestyle=":")
    axes.plot(
        confidence[filled], accuracy[filled], color=_TRAINING, marker="o", markersize=4,
        label="accuracy",
    )  # fmt: skip
    gap = float(np.sum(counts * np.abs(accuracy - confidence)) / counts.sum())
    axes.set(title=f"reliability, ECE {gap:.3f}", xlabel="confidence", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")


def _draw_curves(roc: Axes, precision_recall: Axes, given: Predictions) -> None:
    present = np.unique(given.labels)
    shown = present[1:] if len(given.class_names) == 2 else present
    if len(shown) > len(_CURVES):
        recalls = [np.mean(given.right[given.labels == label]) for label in shown]
        shown = np.sort(shown[np.argsort(recalls, kind="stable")[: len(_CURVES)]])
    for label, color in zip(shown if len(present) > 1 else (), _CURVES, strict=False):
        is_it, share = given.labels == label, given.probabilities[:, label]
        name = shortened(given.class_names[label], _LETTERS)
        false, true, _ = metrics.roc_curve(is_it, share)
        area = metrics.auc(false, true)
        roc.plot(false, true, color=color, label=f"{name} {area:.3f}")
        precision, recall, _ = metrics.precision_recall_curve(is_it, share, drop_intermediate=True)
        area = metrics.average_precision_score(is_it, share)
        precision_recall.plot(recall, precision, color=color, label=f"{name} {area:.3f}")
    roc.plot([0, 1], [0, 1], color=_CHOSEN, linestyle=":")
    bounds = {"xlim": (-0.02, 1.02), "ylim": (0, 1.03)}
    roc.set(title="ROC, area", xlabel="false positive rate", **bounds)
    precision_recall.set(title="precision by recall, average", xlabel="recall", **bounds)
    if roc.lines[1:]:
        roc.legend(loc="lower right")
        precision_recall.legend(loc="lower left")
