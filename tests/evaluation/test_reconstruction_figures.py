"""Charts of reconstructed images."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.reconstruction_figures import CLASS_COLORS, plot_latent_plane

PLANE = np.arange(40.0).reshape(20, 2)
NAMES = [str(digit) for digit in range(10)]


def test_classes_of_the_latent_plane_have_colors_of_their_own() -> None:
    figure = plot_latent_plane(PLANE, np.arange(20) % 10, NAMES)
    colors = [points.get_facecolor()[0].tolist() for points in figure.axes[0].collections]
    assert len({tuple(color) for color in colors}) == len(CLASS_COLORS) == 10
