"""What the report shows of a split, beside its metrics, and what it calls things: for a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Inputs(Protocol):
    """What a model is given, read by index."""

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the inputs at `indices` (n,), such as images of 0..255."""


class SplitView(Protocol):
    """The images of a split, and what a model makes of them."""

    @property
    def images(self) -> Inputs:
        """The images."""

    def units(self, indices: np.ndarray) -> np.ndarray:
        """Return what the model returns for the images at `indices` (n,)."""

    def activations(self, layer: str, indices: np.ndarray) -> np.ndarray | None:
        """Return the output of a layer for images; None where the model has no such layer."""


@dataclass(frozen=True)
class SplitContent:
    """Tables and figures of a split.

    Attributes:
        template: the file with the HTML of the tables and charts, in this directory.
        values: what the template shows, as `content.values`.
        charts: figures that it shows, as `content.charts`, by name without the extension.
        pictures: figures that are files alone, by name without the extension.
    """

    template: str
    values: Mapping[str, Any]
    charts: Mapping[str, Figure] = field(default_factory=dict)
    pictures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportTerms:
    """What the report calls by the name that a task has for it.

    Attributes:
        headline: the metrics in the head of the page, which have intervals.
        of_folds: the metrics that are shown of each fold.
        interval_note: how the intervals are made, in a sentence after a colon.
        heatmap_class: the class whose evidence heatmaps show, in words.
    """

    headline: Sequence[str]
    of_folds: Sequence[str]
    interval_note: str
    heatmap_class: str


@dataclass(frozen=True)
class ImageSelection:
    """Images of a split that say much about a model.

    Attributes:
        name: of the file that shows them, such as `worst_errors`.
        title: above them on the page.
        indices: int (n,), which images.
        captions: (n,).
        classes: int (n,), whose evidence in the image a heatmap shows.
    """

    name: str
    title: str
    indices: np.ndarray
    captions: Sequence[str]
    classes: np.ndarray
