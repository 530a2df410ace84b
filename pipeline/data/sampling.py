"""The sizes of classes, and how often each training image is drawn in an epoch."""

from __future__ import annotations

import numpy as np

_IMBALANCE = 9.5  # ten when rounded: times as many images in one class as in another


def is_imbalanced(counts: np.ndarray) -> bool:
    """Return whether a class has about ten times as many images as another that has some.

    Args:
        counts: int (classes,), the images of each class.
    """
    present = counts[counts > 0]
    return len(present) > 0 and bool(present.max() >= _IMBALANCE * present.min())


def balanced_draws(labels: np.ndarray, *, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of an epoch in which each class is drawn equally often.

    An epoch has as many draws as images. The images of a class are drawn in one random order after
    another, from epoch to epoch, so that none is drawn a second time before all were drawn once.
    The result is a function of the seed and the epoch.

    Args:
        labels: int (n,), the class of each image. Classes without an image are not drawn.
        seed: of the order.
        epoch: counted from 0.

    Returns:
        int64 (n,) each, grouped by class: how often the image was drawn before, and its index.
    """
    count = len(labels)
    classes = np.unique(labels)
    passes, indices = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for position, label in enumerate(classes):
        # Draws of all epochs take the classes in turn, so that the remainder is shared as well.
        start, end = (
            -((position - total) // len(classes)) for total in (count * epoch, count * (epoch + 1))
        )
        members = np.flatnonzero(labels == label)
        for number in range(start // len(members), -(-end // len(members))):
            order = np.random.default_rng([seed, position, number]).permutation(members)
            first = number * len(members)
            drawn = order[max(start - first, 0) : end - first]
            indices.append(drawn)
            passes.append(np.full(len(drawn), number))
    return np.concatenate(passes), np.concatenate(indices)


def draws_per_class(counts: np.ndarray, *, is_balanced: bool) -> np.ndarray:
    """Return how often each class is drawn in an epoch, on average, float64 (classes,).

    Args:
        counts: int (classes,), the images of each class.
        is_balanced: whether each class is drawn equally often.
    """
    drawn = counts.astype(np.float64)
    return (
        np.where(counts > 0, drawn.sum() / np.count_nonzero(counts), 0.0) if is_balanced else drawn
    )
