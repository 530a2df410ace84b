"""What the report shows of a split whose images are reconstructed."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation import reconstruction_figures
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.split_content import ImageSelection, SplitContent, SplitView
from pipeline.even_spacing import evenly_spaced

_MAX_IMAGES = 12
_PAIRS = 10
_MAX_POINTS = 2_000  # images in the latent plane


def reconstruction_content(
    predictions: Predictions, view: SplitView, *, latent_layer: str
) -> SplitContent:
    """Return the figures of a split.

    Args:
        predictions: the errors.
        view: the images, and what the model makes of them.
        latent_layer: the layer with the encodings of images, if the model has it.
    """
    assert predictions.thresholds is not None
    threshold, errors = float(predictions.thresholds[0]), predictions.outputs[:, 0]
    shown = np.array(evenly_spaced(len(predictions), at_most=_PAIRS))
    originals, reconstructions = view.images.read(shown), view.units(shown)
    charts = {
        "reconstructions": reconstruction_figures.plot_reconstructions(originals, reconstructions),
        "errors": reconstruction_figures.plot_errors(errors, threshold),
    }
    plotted = np.array(evenly_spaced(len(predictions), at_most=_MAX_POINTS))
    latent = view.activations(latent_layer, plotted)
    explained = None
    if latent is not None and latent.shape[1] > 1:
        plane, explained = _principal_plane(latent)
        labels = predictions.labels[plotted]
        charts["latent"] = reconstruction_figures.plot_latent_plane(
            plane, labels, predictions.class_names
        )
    anomalies = int(np.sum(errors > threshold))
    values = {"threshold": threshold, "anomalies": anomalies, "explained": explained}
    return SplitContent("reconstruction_content.html.jinja", values, charts=charts)


def select_images(predictions: Predictions) -> list[ImageSelection]:
    """Return the images with the largest errors, largest first."""
    errors = predictions.outputs[:, 0]
    indices = np.argsort(-errors, kind="stable")[:_MAX_IMAGES]
    names = predictions.class_names
    captions = [
        f"{names[label]} · error {error:.4f}"
        for label, error in zip(
            predictions.labels[indices].tolist(), errors[indices].tolist(), strict=True
        )
    ]
    classes = np.zeros(len(indices), np.int64)
    return [
        ImageSelection("worst_errors", "Images with the largest errors", indices, captions, classes)
    ]


def _principal_plane(latent: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the first two principal components, (n, 2), and the share of the variance in them."""
    centered = latent - latent.mean(axis=0)
    left, singular, _ = np.linalg.svd(centered, full_matrices=False)
    total = float(np.sum(singular**2)) or 1.0
    return left[:, :2] * singular[:2], float(np.sum(singular[:2] ** 2)) / total
