"""The loss over the two parameters of a model, and the paths of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation.figures import CURVES, INK, style

_SIDE = 41  # points of the grid
_MARGIN = 0.2  # of the width of the paths, around them


def plot_loss_surface(
    loss_at: Callable[[np.ndarray], float],
    paths: Mapping[str, np.ndarray],
    names: tuple[str, str],
) -> Figure:
    """Return the contours of the loss, by its logarithm, and the paths.

    Args:
        loss_at: returns the loss of two parameters, (2,).
        paths: the parameters, (n, 2), from the first to the last, by what led along them.
        names: of the parameters.
    """
    points = np.concatenate(list(paths.values()))
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * np.maximum(high - low, 1e-3 + 0.1 * (high - low).max())
    first, second = (
        np.linspace(start, end, _SIDE)
        for start, end in zip(low - margin, high + margin, strict=True)
    )
    losses = np.array([[loss_at(np.array([a, b])) for a in first] for b in second])
    shown = np.log10(np.maximum(losses, losses[losses > 0].min(initial=1e-12)))
    with style():
        figure = Figure(figsize=(6.5, 4.6), layout="constrained")
        axes = figure.subplots()
        contours = axes.contourf(first, second, shown, levels=20, cmap="Greys_r")
        figure.colorbar(contours, ax=axes, label="logarithm of the loss")
        for number, (name, path) in enumerate(paths.items()):
            color = CURVES[number % len(CURVES)]
            axes.plot(*path.T, color=color, linewidth=1.2, marker=".", markersize=4, label=name)
            axes.plot(*path[-1], color=color, marker="*", markersize=12, linestyle="none")
        start = next(iter(paths.values()))[0]
        axes.plot(*start, color=INK, marker="o", linestyle="none", label="start")
        axes.set(xlabel=names[0], ylabel=names[1])
        figure.legend(loc="outside lower center", ncols=2)
    return figure
