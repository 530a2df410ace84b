"""The loss over two parameters, and the path of its training."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.loss_surface import plot_loss_surface


def test_the_path_lies_on_the_contours_of_the_loss() -> None:
    path = np.array([[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]])
    figure = plot_loss_surface(
        lambda values: float(np.sum((values - [2.0, 1.0]) ** 2)), path, ("weight", "bias")
    )
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), path)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("weight", "bias")
    low, high = axes.get_xlim()
    assert low < 0 < 2 < high
