"""Charts of models of one or two numbers: what they compute wherever the examples are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pipeline.evaluation.figures import CURVES, GRAY, INK, style

_COLUMNS = 4
_SIDE = 2.5  # inches of a panel
_MAX_UNITS = 8  # of a layer
_MARGIN = 0.15  # of the spread of the examples, around them
_STEPS = 60  # of the plane, in each direction; of a line, their square


@dataclass(frozen=True)
class Region:
    """The inputs that a chart shows: evenly spaced ones around examples.

    Attributes:
        low: float (d,), d being 1 or 2.
        high: float (d,).
        names: of the numbers.
    """

    low: np.ndarray
    high: np.ndarray
    names: Sequence[str]

    @property
    def inputs(self) -> np.ndarray:
        """The inputs, float32 (n, d); of a plane, row by row."""
        if len(self.low) == 1:
            return np.linspace(self.low, self.high, _STEPS**2, dtype=np.float32)
        x, y = np.linspace(self.low, self.high, _STEPS).T
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The limits of a plane, as Matplotlib's imshow takes them."""
        left, bottom = map(float, self.low)
        right, top = map(float, self.high)
        return left, right, bottom, top


def region_around(points: np.ndarray, names: Sequence[str]) -> Region:
    """Return the region around examples, (n, d)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * np.where(high > low, high - low, 1)
    return Region(low - margin, high + margin, names)


def plot_decision_regions(
    region: Region,
    probabilities: Mapping[str, np.ndarray],
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """Plot which class a model chooses where, with the examples.

    Args:
        region: a plane.
        probabilities: of the inputs of the region, float (n, classes), by the title of a panel.
        points: the examples, (n, 2).
        labels: their classes, int (n,).
        class_names: in the order of the labels.
    """
    colors = np.array([to_rgb(CURVES[k % len(CURVES)]) for k in range(len(class_names))])
    with style():
        figure, panels = _grid(len(probabilities))
        for axes, (title, shares) in zip(panels, probabilities.items(), strict=True):
            square = shares.reshape(_STEPS, _STEPS, -1)
            # Pale, so that the examples stand out.
            axes.imshow(0.5 + 0.5 * (square @ colors), extent=region.extent, **_IMAGE)
            for label in range(1 if len(class_names) == 2 else 0, len(class_names)):
                others = np.delete(square, label, axis=2).max(axis=2)
                lead = square[..., label] - others
                if lead.min() < 0 < lead.max():
                    axes.contour(lead, [0.0], colors=INK, linewidths=1, extent=region.extent)
            axes.scatter(
                points[:, 0],
                points[:, 1],
                s=9,
                c=colors[labels],
                edgecolors="white",
                linewidths=0.4,
            )
            _label_plane(axes, region, title)
    return figure


def plot_units(region: Region, activations: Mapping[str, np.ndarray]) -> Figure:
    """Plot what each unit of hidden layers computes.

    Args:
        region: the inputs.
        activations: float (n, units) of the inputs of the region, by the name of a layer.
    """
    is_plane = len(region.low) == 2
    shown = {
        f"{name}, unit {unit + 1}": values[:, unit]
        for name, values in activations.items()
        for unit in range(min(values.shape[1], _MAX_UNITS))
    }
    with style():
        figure, panels = _grid(len(shown))
        for axes, (title, values) in zip(panels, shown.items(), strict=True):
            if is_plane:
                square = values.reshape(_STEPS, _STEPS)
                axes.imshow(square, extent=region.extent, cmap="viridis", **_IMAGE)
                _label_plane(axes, region, title)
            else:
                axes.plot(region.inputs[:, 0], values, color=CURVES[0])
                axes.set(title=title, xlabel=region.names[0])
    return figure


def plot_function(
    region: Region, values: Mapping[str, np.ndarray], points: np.ndarray, labels: np.ndarray
) -> Figure:
    """Plot the function of one number that a model computes, with the examples.

    Args:
        region: a line.
        values: of the inputs of the region, float (n,), by the title of a panel.
        points: the examples, (n, 1).
        labels: their numbers, (n,).
    """
    with style():
        figure, panels = _grid(len(values))
        for axes, (title, curve) in zip(panels, values.items(), strict=True):
            axes.scatter(points[:, 0], labels, s=7, color=GRAY, alpha=0.6, linewidths=0)
            axes.plot(region.inputs[:, 0], curve, color=CURVES[1], linewidth=1.6)
            axes.set(title=title, xlabel=region.names[0])
    return figure


_IMAGE: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}


def _label_plane(axes: Axes, region: Region, title: str) -> None:
    left, right, bottom, top = region.extent
    axes.set(title=title, xlabel=region.names[0], ylabel=region.names[1])
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _grid(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of panels, up to four in a row. A layout engine would take seconds."""
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(_SIDE * columns, _SIDE * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=0.2 / columns,
        right=1 - 0.04 / columns,
        bottom=0.19 / rows,
        top=1 - 0.11 / rows,
        wspace=0.42,
        hspace=0.55,
    )
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, list(panels[:count])
