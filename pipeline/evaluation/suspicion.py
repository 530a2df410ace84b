"""Labels that are probably wrong: images whose neighbours carry another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 10
FEWEST_AGREEING = 0.7  # share of the neighbours that carry one other label
_MOST_REFERENCES = 5000  # images that each is compared with
_CHUNK = 1024


@dataclass(frozen=True)
class Suspicions:
    """Images whose labels are doubtful, the most doubtful first.

    Attributes:
        indices: int (n,), the images.
        suggested: int (n,), the label that most of their neighbours carry.
        shares: float (n,), the share of the neighbours that do.
    """

    indices: np.ndarray
    suggested: np.ndarray
    shares: np.ndarray


def suspicions(features: np.ndarray, labels: np.ndarray) -> Suspicions:
    """Return the images whose nearest neighbours by cosine mostly carry one other label.

    After Bahri, Jiang and Gupta, Deep k-NN for Noisy Labels, 2020. Where there are very many
    images, neighbours are looked for among 5,000 of them.

    Args:
        features: float (n, units), from a network that did not learn these labels.
        labels: int (n,).
    """
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    count = len(labels)
    references = np.unique(np.linspace(0, count - 1, min(count, _MOST_REFERENCES)).astype(int))
    # Of a class with few images, few can be among the neighbours.
    smallest = int(np.bincount(labels[references])[np.unique(labels)].min())
    nearest = max(min(NEIGHBOURS, smallest // 2), 1)
    classes = int(labels.max()) + 1
    shares = np.empty((count, classes))
    for start in range(0, count, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, count))
        similarity = directions[rows] @ directions[references].T
        similarity[rows[:, np.newaxis] == references] = -np.inf  # nothing is its own neighbour
        found = np.argpartition(-similarity, nearest - 1, axis=1)[:, :nearest]
        carried = labels[references[found]]
        shares[rows] = (carried[..., np.newaxis] == np.arange(classes)).mean(axis=1)
    shares[np.arange(count), labels] = 0
    most = shares.max(axis=1)
    doubtful = np.flatnonzero(most >= FEWEST_AGREEING)
    doubtful = doubtful[np.argsort(-most[doubtful], kind="stable")]
    return Suspicions(doubtful, shares[doubtful].argmax(axis=1), most[doubtful])
