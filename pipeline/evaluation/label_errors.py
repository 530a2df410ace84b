"""Labels that are probably wrong: images whose neighbours carry another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 10
FEWEST_AGREEING = 0.7  # share of the neighbours that carry one other label
_MOST_REFERENCES = 5000  # images that each is compared with
_CHUNK = 1024


@dataclass(frozen=True)
class LabelErrors:
    """Images whose labels are doubtful, the most doubtful first.

    Attributes:
        indices: int (n,), the images.
        suggested: int (n,), the label that most of their neighbours carry.
        shares: float (n,), the share of the neighbours that do.
    """

    indices: np.ndarray
    suggested: np.ndarray
    shares: np.ndarray


def find_neighbor_label_errors(
    features: Callable[[np.ndarray], np.ndarray], labels: np.ndarray
) -> LabelErrors:
    """Return the images whose nearest neighbours by cosine mostly carry one other label.

    After Bahri, Jiang and Gupta, Deep k-NN for Noisy Labels, 2020. Where there are very many
    images, neighbours are looked for among 5,000 of them.

    Args:
        features: returns those of the images with some numbers, float (n, units), from a network
            that did not learn these labels. It is asked for some at a time, so that the memory
            does not grow with the images.
        labels: int (n,).
    """
    count = len(labels)
    references = np.unique(np.linspace(0, count - 1, min(count, _MOST_REFERENCES)).astype(int))
    # Of a class with few images, few can be among the neighbours.
    smallest = int(np.bincount(labels[references])[np.unique(labels)].min())
    nearest = max(min(NEIGHBOURS, smallest // 2), 1)
    classes = np.arange(int(labels.max()) + 1)
    known = _directions(features(references))
    suggested, most = np.empty(count, np.int64), np.empty(count)
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        similarity = _directions(features(rows)) @ known.T
        similarity[rows[:, np.newaxis] == references] = -np.inf  # nothing is its own neighbour
        found = np.argpartition(-similarity, nearest - 1, axis=1)[:, :nearest]
        shares = (labels[references[found]][..., np.newaxis] == classes).mean(axis=1)
        shares[np.arange(len(rows)), labels[rows]] = 0
        suggested[rows], most[rows] = shares.argmax(axis=1), shares.max(axis=1)
    doubtful = np.flatnonzero(most >= FEWEST_AGREEING)
    doubtful = doubtful[np.argsort(-most[doubtful], kind="stable")]
    return LabelErrors(doubtful, suggested[doubtful], most[doubtful])


def _directions(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
