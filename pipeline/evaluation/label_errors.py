"""Probable label errors: images whose nearest neighbors carry another label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

N_NEIGHBORS = 10
MIN_AGREEMENT = 0.7  # share of the neighbors that carry one other label
_MAX_REFERENCES = 5000  # images among which neighbors are searched
_CHUNK = 1024


def other_labels_of_neighbors(
    features: Callable[[np.ndarray], np.ndarray], labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which other label is most frequent among each image's neighbors, and its share.

    A share of `MIN_AGREEMENT` or more makes a label error probable, after Bahri, Jiang and Gupta,
    Deep k-NN for Noisy Labels, 2020. Neighbors are the nearest ones by cosine similarity among at
    most 5,000 images.

    Args:
        features: maps indices (n,) to features, float (n, units), of a network that was not trained
            on these labels. It is called in chunks, so memory does not grow with the images.
        labels: int (n,).

    Returns:
        Labels, int64 (n,), and shares, float64 (n,).
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
    return suggested, agreement


def _normalized(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
