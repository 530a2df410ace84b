"""Charts of reconstructed images, of their errors and of their encodings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation.figures import CURVES, style

# Ten that differ on white and on black.
CLASS_COLORS = (*CURVES, "#d0632f", "#6b7a8f", "#b05a9c", "#7a9a3a")


def plot_reconstructions(originals: np.ndarray, reconstructions: np.ndarray) -> Figure:
    """Return images above their reconstructions.

    Args:
        originals: (n, height, width, channels), 0..255.
        reconstructions: the same shape, 0..1.
    """
    with style():
        count = len(originals)
        figure = Figure(figsize=(9.5, 2.1), layout="constrained")
        axes = figure.subplots(2, count, squeeze=False)
        for row, images in zip(axes, (originals / 255, reconstructions), strict=True):
            for cell, image in zip(row, images, strict=True):
                is_gray = image.shape[2] == 1
                shown = image[..., 0] if is_gray else image
                cell.imshow(np.clip(shown, 0, 1), cmap="gray" if is_gray else None, vmin=0, vmax=1)
                cell.set_axis_off()
    return figure


def plot_errors(errors: np.ndarray, threshold: float) -> Figure:
    """Return the histogram of the errors of images, (n,), and the threshold of anomalies."""
    with style():
        figure = Figure(figsize=(5, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.hist(errors, bins=40, color=CURVES[0], alpha=0.8)
        axes.axvline(threshold, color=CURVES[1], linestyle=":", label=f"threshold {threshold:.4g}")
        axes.set(xlabel="mean squared error", ylabel="images")
        axes.legend()
    return figure


def plot_latent_plane(plane: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Return images as points of a plane, in the color of their class if there are at most ten.

    Args:
        plane: float (n, 2).
        labels: int (n,).
        class_names: in the order of the labels.
    """
    with style():
        figure = Figure(figsize=(6, 4.4), layout="constrained")
        axes = figure.subplots()
        if len(class_names) <= len(CLASS_COLORS):
            for label, name in enumerate(class_names):
                chosen = plane[labels == label]
                color = CLASS_COLORS[label]
                axes.scatter(chosen[:, 0], chosen[:, 1], s=7, color=color, label=name, linewidths=0)
            figure.legend(loc="outside right upper", markerscale=2)
        else:
            axes.scatter(plane[:, 0], plane[:, 1], s=7, color=CURVES[0], linewidths=0)
        axes.set(xlabel="first component", ylabel="second component")
    return figure
