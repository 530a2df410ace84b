"""Figures of the layers of a network."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pipeline.evaluation.figures import svg
from pipeline.evaluation.layer_figures import (
    plot_feature_maps,
    plot_filters,
    plot_layers_by_epoch,
)


def shown_in(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_each_layer_has_a_curve_over_the_epochs() -> None:
    rows = [
        {"loss": 1.0, "gradient_norm/01_conv2d": 1e-4, "gradient_norm/02_dense": 2.0},
        {"loss": 0.5, "gradient_norm/01_conv2d": 0.0, "gradient_norm/02_dense": 1.0},
    ]
    figure = plot_layers_by_epoch(rows, "gradient_norm", label="norm", is_logarithmic=True)
    (axes,) = figure.axes
    lines = {str(line.get_label()): line.get_ydata() for line in axes.lines}
    np.testing.assert_array_equal(lines["01_conv2d"], [1e-4, np.nan])  # 0 has no logarithm
    np.testing.assert_array_equal(lines["02_dense"], [2.0, 1.0])
    assert "0.0001" in svg(figure)
    assert "mathdefault" not in svg(figure)


def test_each_filter_is_an_image_between_its_lowest_and_its_highest_weight() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 6))
    shown = [shown_in(axes) for axes in plot_filters(kernel).axes if axes.images]
    assert len(shown) == 6
    assert {(each.shape, float(each.min()), float(each.max())) for each in shown} == {
        ((5, 5, 3), 0.0, 1.0)
    }
    assert shown_in(plot_filters(np.zeros((3, 3, 1, 2))).axes[0]).shape == (3, 3)


def test_an_image_is_beside_the_maps_of_each_layer() -> None:
    maps = {"convolution 1": np.zeros((6, 6, 3)), "convolution 2": np.ones((4, 4, 20))}
    figure = plot_feature_maps(np.full((8, 8, 1), 200, np.uint8), maps)
    rows = np.array([len(axes.images) for axes in figure.axes]).reshape(2, 9)
    assert rows.sum(axis=1).tolist() == [1 + 3, 1 + 8]
