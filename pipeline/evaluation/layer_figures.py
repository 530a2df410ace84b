"""Figures of the layers of a network: by epoch, and what they make of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pipeline.evaluation.figures import CURVES, GRAY, style

_MAX_FILTERS, _MAX_MAPS = 32, 8
_COLUMNS = 8


def plot_layers_by_epoch(
    epochs: Sequence[Mapping[str, float]], prefix: str, *, label: str, is_logarithmic: bool
) -> Figure:
    """Return a curve for each layer, the first one darkest.

    Args:
        epochs: the metrics of each epoch.
        prefix: the names of the metrics are `PREFIX/LAYER`.
        label: of the vertical axis.
        is_logarithmic: whether that axis is.
    """
    names = sorted({name for row in epochs for name in row if name.startswith(f"{prefix}/")})
    with style():
        figure = Figure(figsize=(6.5, 3.4), layout="constrained")
        axes = figure.subplots()
        colors = colormaps["viridis"](np.linspace(0, 0.9, max(len(names), 1)))
        numbers = range(1, len(epochs) + 1)
        for name, color in zip(names, colors, strict=False):
            values = np.array([row.get(name, np.nan) for row in epochs])
            if is_logarithmic:
                values = np.where(values > 0, values, np.nan)
            layer = name.removeprefix(f"{prefix}/")
            axes.plot(numbers, values, color=color, marker=".", label=layer)
        if is_logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(-0.03, 1.03)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_thinned_networks(
    of_each: np.ndarray, *, of_mean: float, of_whole: float, metric: str
) -> Figure:
    """Return the histogram of a metric of thinned networks, with the mean of them and the whole.

    Args:
        of_each: float (networks,).
        of_mean: of the mean of their outputs.
        of_whole: of the network with all units.
        metric: its name.
    """
    with style():
        figure = Figure(figsize=(6.5, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.hist(of_each, bins=20, color=GRAY, alpha=0.6, label="networks without some units")
        axes.axvline(of_mean, color=CURVES[0], linestyle=":", label="mean of their outputs")
        axes.axvline(of_whole, color=CURVES[1], label="network with all units")
        axes.set(xlabel=metric, ylabel="networks")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_filters(kernel: np.ndarray) -> Figure:
    """Return the filters of a convolution as images, from the lowest weight of each to the highest.

    Args:
        kernel: (height, width, channels, filters). Filters of three channels are shown in color, of
            other numbers as their mean over the channels.
    """
    filters = np.moveaxis(kernel, -1, 0)[:_MAX_FILTERS]
    if filters.shape[-1] != 3:
        filters = filters.mean(axis=-1)
    rows = -(-len(filters) // _COLUMNS)
    with style():
        figure = Figure(figsize=(6.5, 0.85 * rows), layout="constrained")
        cells = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for cell in cells:
            cell.set_axis_off()
        for cell, weights in zip(cells, filters, strict=False):
            cell.imshow(_stretched(weights), cmap="gray" if weights.ndim == 2 else None)
    return figure


def plot_feature_maps(image: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """Return an image beside the first feature maps of some layers, a row for each.

    Args:
        image: (height, width, channels), 0..255.
        maps: (height, width, maps) of each layer by its name.
    """
    with style():
        figure = Figure(figsize=(9.5, 1.15 * len(maps)), layout="constrained")
        grid = figure.subplots(len(maps), _MAX_MAPS + 1, squeeze=False)
        for row, (name, values) in zip(grid, maps.items(), strict=True):
            for cell in row:
                cell.set_axis_off()
            is_gray = image.shape[-1] == 1
            row[0].imshow(image[..., 0] if is_gray else image.astype(np.uint8), cmap="gray")
            row[1].set_title(name, loc="left", fontsize=8)
            for cell, one in zip(row[1:], np.moveaxis(values, -1, 0), strict=False):
                cell.imshow(_stretched(one), cmap="viridis")
    return figure


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    scaled: np.ndarray = (values - low) / (high - low or 1.0)
    return scaled
