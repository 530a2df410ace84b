"""Probable label errors: images whose nearest neighbors carry another label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

N_NEIGHBORS = 10
MIN_AGREEMENT = 0.7  # share of the neighbors that carry one other label
_MAX_REFERENCES = 5000  # images among which neighbors are searched
_CHUNK = 1024


@dataclass(frozen=True)
class LabelErrors:
    """Probable label errors, the most probable first.

    Attributes:
        indices: int (n,), of the images.
        suggested: int (n,), the most frequent label among the neighbors.
        agreement: float (n,), the share of the neighbors that carry it.
    """

    indices: np.ndarray
    suggested: np.ndarray
    agreement: np.ndarray


def find_neighbor_label_errors(
    features: Callable[[np.ndarray], np.ndarray], labels: np.ndarray
) -> LabelErrors:
    """Return the images whose nearest neighbors by cosine similarity mostly carry another label.

    After Bahri, Jiang and Gupta, Deep k-NN for Noisy Labels, 2020. Neighbors are searched among at
    most 5,000 images.

    Args:
        features: maps indices (n,) to features, float (n, units), of a network that was not trained
            on these labels. It is called in chunks, so memory does not grow with the images.
        labels: int (n,).
    """
    count = len(labels)
    references = np.unique(np.linspace(0, count - 1, min(count, _MAX_REFERENCES)).astype(int))
    # A small class cannot fill a large neighborhood.
    smallest = int(np.bincount(labels[references])[np.unique(labels)].min())
    neighbors = max(min(N_NEIGHBORS, smallest // 2), 1)
    classes = np.arange(int(labels.max()) + 1)
    reference_features = _normalized(features(references))
    suggested, agreement = np.empty(count, np.int64), np.empty(count)
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        similarity = _normalized(features(rows)) @ reference_features.T
        similarity[rows[:, np.newaxis] == references] = -np.inf  # an image is not its own neighbor
        nearest = np.argpartition(-similarity, neighbors - 1, axis=1)[:, :neighbors]
        shares = (labels[references[nearest]][..., np.newaxis] == classes).mean(axis=1)
        shares[np.arange(len(rows)), labels[rows]] = 0
        suggested[rows], agreement[rows] = shares.argmax(axis=1), shares.max(axis=1)
    indices = np.flatnonzero(agreement >= MIN_AGREEMENT)
    indices = indices[np.argsort(-agreement[indices], kind="stable")]
    return LabelErrors(indices, suggested[indices], agreement[indices])


def _normalized(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
