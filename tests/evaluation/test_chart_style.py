"""Charts of every module have the style of `pipeline.evaluation.figures`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.evaluation.layer_figures import plot_layers_by_epoch, plot_thinned_networks
from pipeline.evaluation.loss_surface import plot_loss_surface
from pipeline.evaluation.number_figures import plot_residuals
from pipeline.evaluation.reconstruction_figures import plot_errors, plot_latent_plane

PLANE = np.arange(40.0).reshape(20, 2)
NAMES = [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_errors(np.linspace(0, 1, 50), 0.9),
        lambda: plot_latent_plane(PLANE, np.arange(20) % 10, NAMES),
        lambda: plot_residuals(np.arange(5.0), np.arange(5.0) + 0.1),
        lambda: plot_thinned_networks(np.linspace(0, 1, 9), of_mean=0.5, of_whole=0.6, metric="x"),
        lambda: plot_layers_by_epoch(
            [{"dead_units/01_dense": 0.5}], "dead_units", label="share", is_logarithmic=False
        ),
        lambda: plot_loss_surface(lambda at: float(at @ at), {"sgd": PLANE}, ("weight", "bias")),
    ],
)
def test_charts_have_one_style(draw: Callable[[], Figure]) -> None:
    figure = draw()
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>":
            assert not axes.spines["top"].get_visible()
        assert axes.xaxis.label.get_fontsize() == 10
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)):
        assert legend is None or not legend.get_frame_on()
