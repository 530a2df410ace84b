"""Charts of models of one or two numbers."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation import plane_figures
from pipeline.evaluation.figures import png, svg
from pipeline.evaluation.plane_figures import region_around

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
PLANE = region_around(CORNERS, ("x1", "x2"))
LINE = region_around(np.array([[0.0], [2.0]], np.float32), ("x",))


def test_the_region_is_a_little_larger_than_the_examples() -> None:
    assert [*PLANE.low, *PLANE.high] == pytest.approx([-0.15, -0.15, 1.15, 1.15])
    assert PLANE.inputs.shape == (3600, 2)
    assert LINE.inputs.shape == (3600, 1)
    assert LINE.inputs[[0, -1], 0].tolist() == pytest.approx([-0.3, 2.3])


def test_examples_that_are_all_equal_have_a_region_too() -> None:
    alike = region_around(np.ones((3, 1), np.float32), ("x",))
    assert alike.low < 1 < alike.high


def test_the_classes_lie_where_the_examples_are() -> None:
    share = PLANE.inputs[:, 0] / 1.15  # the second class on the right
    figure = plane_figures.plot_decision_regions(
        PLANE, {"one": np.stack([1 - share, share], axis=1)}, CORNERS, np.array([0, 0, 1, 1]), "ab"
    )
    (axes,) = figure.axes
    pixels = np.asarray(axes.images[0].get_array())
    assert axes.images[0].get_extent() == pytest.approx([-0.15, 1.15, -0.15, 1.15])
    assert pixels[0, 0, 2] > pixels[0, -1, 2]  # blue on the left, red on the right
    assert pixels[0, 0, 0] < pixels[0, -1, 0]
    assert axes.get_xlabel() == "x1"


@pytest.mark.parametrize("count", [1, 4, 5])
def test_there_is_a_panel_for_each_epoch(count: int) -> None:
    values = {f"epoch {n}": LINE.inputs[:, 0] * n for n in range(count)}
    figure = plane_figures.plot_function(LINE, values, np.zeros((2, 1)), np.zeros(2))
    assert [axes.get_title() for axes in figure.axes if axes.axison] == list(values)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("region", [PLANE, LINE], ids=["plane", "line"])
def test_a_layer_has_a_panel_for_each_of_its_first_units(region: plane_figures.Region) -> None:
    values = region.inputs @ np.ones((region.inputs.shape[1], 20), np.float32)
    figure = plane_figures.plot_units(region, {"layer 1": values, "layer 2": values[:, :1]})
    titles = [axes.get_title() for axes in figure.axes if axes.axison]
    assert (len(titles), titles[0], titles[-1]) == (9, "layer 1, unit 1", "layer 2, unit 1")
    assert svg(figure).startswith("<svg")
