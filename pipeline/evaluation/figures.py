"""Pictures of a run, drawn with matplotlib and without its global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    import numpy as np

_TRAINING, _VALIDATION, _CHOSEN = "#4477aa", "#ee6677", "#888888"


def learning_curves(
    rows: Sequence[Mapping[str, float]], *, best_epoch: int, fine_tuned_from: int | None
) -> Figure:
    """Return loss and accuracy by epoch, with the chosen epoch marked.

    Args:
        rows: the metrics of each epoch.
        best_epoch: counted from 1.
        fine_tuned_from: epochs before the base began to learn, None if it did not.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = range(1, len(rows) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        marker = "o" if len(rows) < 3 else ""
        for prefix, color, label in (
            ("", _TRAINING, "training"),
            ("val_", _VALIDATION, "validation"),
        ):
            values = [row[prefix + name] for row in rows]
            axes.plot(epochs, values, color=color, label=label, marker=marker)
        axes.axvline(best_epoch, color=_CHOSEN, linestyle=":", label=f"chosen: {best_epoch}")
        if fine_tuned_from is not None:
            axes.axvspan(fine_tuned_from + 0.5, len(rows) + 0.5, color=_CHOSEN, alpha=0.12)
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
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
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(count)
    axes.set_xticks(ticks, class_names, rotation=90 if count > 4 else 0)
    axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    if count <= 30:
        for row in ticks:
            for column in ticks:
                color = "white" if shares[row, column] > 0.5 else "black"
                number = str(matrix[row, column]) if matrix[row, column] else "·"
                axes.text(column, row, number, ha="center", va="center", color=color)
    return figure
