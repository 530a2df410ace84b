"""The loss over the two parameters of a model, and the path of its training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

_SIDE = 41  # points of the grid
_MARGIN = 0.4  # of the width of the path, around it


def plot_loss_surface(
    loss_at: Callable[[np.ndarray], float], path: np.ndarray, names: tuple[str, str]
) -> Figure:
    """Return the contours of the loss, by its logarithm, and the path.

    Args:
        loss_at: returns the loss of two parameters, (2,).
        path: the parameters, (n, 2), from the first to the last.
        names: of the parameters.
    """
    low, high = path.min(axis=0), path.max(axis=0)
    margin = _MARGIN * np.maximum(high - low, 1e-3 + 0.1 * (high - low).max())
    first, second = (
        np.linspace(start, end, _SIDE)
        for start, end in zip(low - margin, high + margin, strict=True)
    )
    losses = np.array([[loss_at(np.array([a, b])) for a in first] for b in second])
    shown = np.log10(np.maximum(losses, losses[losses > 0].min(initial=1e-12)))
    figure = Figure(figsize=(6.5, 4.6), layout="constrained")
    axes = figure.subplots()
    contours = axes.contourf(first, second, shown, levels=20, cmap="viridis")
    figure.colorbar(contours, ax=axes, label="logarithm of the loss")
    axes.plot(*path.T, color="white", linewidth=1, marker=".", markersize=4)
    axes.plot(*path[0], color="#e0607a", marker="o", linestyle="none", label="start")
    axes.plot(*path[-1], color="#e0607a", marker="*", markersize=12, linestyle="none", label="end")
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.legend(fontsize=8)
    return figure
