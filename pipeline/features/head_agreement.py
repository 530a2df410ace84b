"""Whether heads that are trained on a faster engine's features predict as on the original ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

_FOLDS = 4
_MAX_CLASSES = 8
MAX_IMAGES = 64


@dataclass(frozen=True)
class HeadAgreement:
    """How often two heads predict different labels.

    Attributes:
        disagreements: images to which the heads give different labels.
        images: that were compared.
    """

    disagreements: int
    images: int

    @property
    def is_sufficient(self) -> bool:
        """Whether at most one image has another label, as it may by rounding alone."""
        return self.disagreements <= 1


def choose_images(labels: np.ndarray) -> np.ndarray | None:
    """Choose images to compare heads on: of the most frequent classes, evenly spaced in each.

    Args:
        labels: int (n,), of the training images.

    Returns:
        int (m,), the indices of at most `MAX_IMAGES` images; None if no two classes have enough
        images for cross-validation.
    """
    counts = np.bincount(labels)
    frequent = np.argsort(-counts, kind="stable")[:_MAX_CLASSES]
    usable = [label for label in frequent if counts[label] >= _FOLDS]
    if len(usable) < 2:
        return None
    per_class = MAX_IMAGES // len(usable)
    chosen = []
    for label in usable:
        indices = np.flatnonzero(labels == label)
        positions = np.linspace(0, len(indices) - 1, min(len(indices), per_class)).astype(int)
        chosen.append(indices[positions])
    return np.sort(np.concatenate(chosen))


def compare_heads(original: np.ndarray, faster: np.ndarray, labels: np.ndarray) -> HeadAgreement:
    """Train heads on either features, cross-validated, and predict both on the original features.

    That is how a run uses them: its head is trained on the faster engine's features and evaluated
    on the original ones. The heads are logistic regressions.

    Args:
        original: features by the original network, (n, units).
        faster: features of the same images by a faster engine, (n, units).
        labels: int (n,), each class at least four times.
    """
    if not np.isfinite(faster).all():
        return HeadAgreement(len(labels), len(labels))
    # One scale for all units: to scale each would magnify the rounding of those that are constant.
    center, scale = original.mean(axis=0), max(float(original.std()), 1e-12)
    original, faster = ((features - center) / scale for features in (original, faster))
    disagreements = 0
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    # Threads that wait for each other take ten times as long where the processors are busy.
    with threadpool_limits(limits=1, user_api="blas"):
        for train, test in folds.split(original, labels):
            predicted = [
                LogisticRegression(max_iter=500)
                .fit(features[train], labels[train])
                .predict(original[test])
                for features in (original, faster)
            ]
            disagreements += int(np.sum(predicted[0] != predicted[1]))
    return HeadAgreement(disagreements, len(labels))
