"""Charts of numbers that a model estimates."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pipeline.evaluation.figures import CURVES, GRAY, style


def plot_residuals(labels: np.ndarray, estimates: np.ndarray) -> Figure:
    """Return estimates by label, and what they are too large by, by estimate.

    Args:
        labels: float (n,).
        estimates: float (n,).
    """
    with style():
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        alpha = min(1.0, 20 / len(labels) ** 0.5)
        ends = [float(pick(labels)) for pick in (np.min, np.max)]
        left.plot(ends, ends, color=GRAY, linestyle=":")
        left.scatter(labels, estimates, s=9, alpha=alpha, color=CURVES[0], linewidths=0)
        left.set(title="Estimates", xlabel="label", ylabel="estimate")
        right.axhline(0, color=GRAY, linestyle=":")
        right.scatter(
            estimates, estimates - labels, s=9, alpha=alpha, color=CURVES[0], linewidths=0
        )
        right.set(title="Residuals", xlabel="estimate", ylabel="estimate minus label")
    return figure
