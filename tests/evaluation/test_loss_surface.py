"""The loss over two parameters, and the path of its training."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.loss_surface import plot_loss_surface


def test_the_paths_lie_on_the_contours_of_the_loss() -> None:
    path = np.array([[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]])
    other = np.array([[0.0, 0.0], [3.0, 0.0]])
    figure = plot_loss_surface(
        lambda values: float(np.sum((values - [2.0, 1.0]) ** 2)),
        {"sgd": path, "adam": other},
        ("weight", "bias"),
    )
    axes = figure.axes[0]
    curves = {str(line.get_label()): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(curves["sgd"], path)
    np.testing.assert_array_equal(curves["adam"], other)
    np.testing.assert_array_equal(curves["start"], [[0.0, 0.0]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("weight", "bias")
    low, high = axes.get_xlim()
    assert low < 0 < 3 < high
